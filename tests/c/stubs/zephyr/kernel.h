/* As much of Zephyr's kernel as the example uses; zephyr_host.c makes it run on threads. */
#ifndef ZEPHYR_KERNEL_H
#define ZEPHYR_KERNEL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARG_UNUSED(x) (void)(x)
#define BIT(n) (1UL << (n))

typedef int k_timeout_t;
#define K_FOREVER (-1)
#define K_NO_WAIT 0
#define K_PRIO_COOP(n) (-(n))

struct k_sem {
	unsigned int count, limit;
};
#define K_SEM_DEFINE(name, initial, most) struct k_sem name = {initial, most}
int k_sem_take(struct k_sem *sem, k_timeout_t timeout);
void k_sem_give(struct k_sem *sem);

struct k_msgq {
	size_t size, slots, used;
	unsigned char *octets;
};
#define K_MSGQ_DEFINE(name, octets_each, most, alignment)                                          \
	static unsigned char name##_octets[(octets_each) * (most)];                                \
	struct k_msgq name = {octets_each, most, 0, name##_octets}
int k_msgq_put(struct k_msgq *queue, const void *data, k_timeout_t timeout);
int k_msgq_get(struct k_msgq *queue, void *data, k_timeout_t timeout);

typedef void (*k_thread_entry_t)(void *, void *, void *);
void host_thread(k_thread_entry_t entry);
#define K_THREAD_DEFINE(name, stack, entry, p1, p2, p3, priority, options, delay)                  \
	__attribute__((constructor)) static void name##_defined(void) { host_thread(entry); }      \
	struct name##_defined_

unsigned int irq_lock(void);
void irq_unlock(unsigned int key);
int64_t k_uptime_ticks(void);
uint64_t k_ticks_to_us_floor64(uint64_t ticks);
void k_busy_wait(uint32_t us);
int32_t k_msleep(int32_t ms);

#endif
