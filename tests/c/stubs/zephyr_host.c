/*
 * Runs a Zephyr application on this machine, against the model of an ADS1298: SAMPLES conversions.
 *
 * Its threads are the host's, but only one moves at a time: interrupts come when every thread
 * waits, under the one lock, so that every run is the same. Two faults are made: two conversions
 * before the reader gets to the first, and a line that takes nothing for longer than the queue
 * holds.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>
#include <zephyr/device.h>
#include <zephyr/drivers/gpio.h>
#include <zephyr/drivers/hwinfo.h>
#include <zephyr/drivers/spi.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>
#include <zephyr/random/random.h>

#include "ads1298_model.h"

#define MISSED_AT 900u
#define STALL_AT 1500u
#define STALL_END 1600u

const struct device host_device = {0};

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/* Where the two threads wait, and what for. */
static bool reader_waits, main_waits, main_sends, stalled;
static struct k_sem *given;
static struct k_msgq *filled;
static k_thread_entry_t reader;
static struct gpio_callback *callback;
static bool listening, running;
static uint32_t samples;
static uint64_t now_us = MODEL_START_US;

static void fail(const char *reason)
{
	fprintf(stderr, "%s\n", reason);
	_exit(3);
}

/* Call with the lock: waits until the condition holds, and shows meanwhile that it waits. */
#define WAIT_UNTIL(waits, condition)                                                               \
	do {                                                                                       \
		waits = true;                                                                      \
		pthread_cond_broadcast(&changed);                                                  \
		while (!(condition)) {                                                             \
			pthread_cond_wait(&changed, &lock);                                        \
		}                                                                                  \
		waits = false;                                                                     \
	} while (0)

/* With the lock: nobody has anything to do before the next conversion. */
static bool idle(void)
{
	return reader_waits && (given == NULL || given->count == 0u) &&
	       ((main_waits && (filled == NULL || filled->used == 0u)) || (main_sends && stalled));
}

static void wait_until_idle(void)
{
	while (!idle()) {
		pthread_cond_wait(&changed, &lock);
	}
}

void host_thread(k_thread_entry_t entry) { reader = entry; }

int k_sem_take(struct k_sem *sem, k_timeout_t timeout)
{
	(void)timeout;
	pthread_mutex_lock(&lock);
	WAIT_UNTIL(reader_waits, sem->count > 0u);
	sem->count--;
	pthread_mutex_unlock(&lock);
	return 0;
}

void k_sem_give(struct k_sem *sem)
{
	pthread_mutex_lock(&lock);
	given = sem;
	if (sem->count < sem->limit) {
		sem->count++;
	}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

int k_msgq_put(struct k_msgq *queue, const void *data, k_timeout_t timeout)
{
	int failed = -ENOMSG;
	if (timeout != K_NO_WAIT) {
		fail("the reader must never wait for room");
	}
	pthread_mutex_lock(&lock);
	filled = queue;
	if (queue->used < queue->slots) {
		memcpy(queue->octets + queue->used * queue->size, data, queue->size);
		queue->used++;
		failed = 0;
	}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return failed;
}

int k_msgq_get(struct k_msgq *queue, void *data, k_timeout_t timeout)
{
	(void)timeout;
	pthread_mutex_lock(&lock);
	WAIT_UNTIL(main_waits, queue->used > 0u);
	memcpy(data, queue->octets, queue->size);
	queue->used--;
	memmove(queue->octets, queue->octets + queue->size, queue->used * queue->size);
	pthread_mutex_unlock(&lock);
	return 0;
}

unsigned int irq_lock(void)
{
	pthread_mutex_lock(&lock);
	return 0u;
}

void irq_unlock(unsigned int key)
{
	(void)key;
	pthread_mutex_unlock(&lock);
}

int64_t k_uptime_ticks(void) { return (int64_t)now_us; }
uint64_t k_ticks_to_us_floor64(uint64_t ticks) { return ticks; }
void k_busy_wait(uint32_t us) { (void)us; }
int32_t k_msleep(int32_t ms) { return ms - ms; }
bool device_is_ready(const struct device *device) { return device == &host_device; }
uint32_t sys_rand32_get(void) { return 0xb007b007u; }

ssize_t hwinfo_get_device_id(uint8_t *buffer, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		buffer[i] = (uint8_t)(0xe0u + i);
	}
	return (ssize_t)length;
}

bool gpio_is_ready_dt(const struct gpio_dt_spec *spec) { return spec->port == &host_device; }
int gpio_pin_configure_dt(const struct gpio_dt_spec *spec, uint32_t flags)
{
	return spec->pin == host_pin_drdy_gpios ? flags != GPIO_INPUT : flags != GPIO_OUTPUT_INACTIVE;
}

int gpio_pin_interrupt_configure_dt(const struct gpio_dt_spec *spec, uint32_t flags)
{
	listening = flags == GPIO_INT_EDGE_TO_ACTIVE;
	return spec->pin != host_pin_drdy_gpios;
}

int gpio_pin_set_dt(const struct gpio_dt_spec *spec, int value)
{
	pthread_mutex_lock(&lock);
	if (spec->pin == host_pin_reset_gpios && value == 1) {
		model_reset();
	} else if (spec->pin == host_pin_start_gpios && value == 1) {
		running = true;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	return 0;
}

void gpio_init_callback(struct gpio_callback *told, gpio_callback_handler_t handler, uint32_t mask)
{
	told->handler = handler;
	told->pin_mask = mask;
}

int gpio_add_callback_dt(const struct gpio_dt_spec *spec, struct gpio_callback *told)
{
	callback = told;
	return told->pin_mask != 1u << spec->pin;
}

bool spi_is_ready_dt(const struct spi_dt_spec *spec)
{
	return spec->operation == (SPI_WORD_SET(8) | SPI_TRANSFER_MSB | SPI_MODE_CPHA);
}

int spi_transceive_dt(const struct spi_dt_spec *spec, const struct spi_buf_set *tx,
		      const struct spi_buf_set *rx)
{
	(void)spec;
	pthread_mutex_lock(&lock);
	model_select(1);
	for (size_t i = 0; i < tx->buffers[0].len; i++) {
		const uint8_t octet = ((const uint8_t *)tx->buffers[0].buf)[i];
		((uint8_t *)rx->buffers[0].buf)[i] = model_transfer(octet);
	}
	model_select(0);
	pthread_mutex_unlock(&lock);
	return 0;
}

int uart_configure(const struct device *device, const struct uart_config *line)
{
	return device != &host_device || line->baudrate < 230400u;
}

void uart_poll_out(const struct device *device, unsigned char octet)
{
	(void)device;
	pthread_mutex_lock(&lock);
	WAIT_UNTIL(main_sends, !stalled);
	pthread_mutex_unlock(&lock);
	putchar(octet);
}

static void convert(uint32_t number)
{
	model_convert(number, now_us);
	if (!listening || callback == NULL) {
		fail("a conversion nobody listens to");
	}
	callback->handler(&host_device, callback, callback->pin_mask);
	now_us += MODEL_PERIOD_US;
}

static void *hardware(void *unused)
{
	pthread_mutex_lock(&lock);
	while (!running) {
		pthread_cond_wait(&changed, &lock);
	}
	for (uint32_t number = 0u; number < samples; number++) {
		wait_until_idle();
		if (number == STALL_AT) {
			stalled = true;
		} else if (number == STALL_END) {
			stalled = false;
			pthread_cond_broadcast(&changed);
			wait_until_idle();
		}
		convert(number);
		if (number == MISSED_AT) {
			convert(++number);
		}
	}
	wait_until_idle();
	fflush(stdout);
	_exit(0);
	return unused;
}

static void *read_always(void *unused)
{
	reader(NULL, NULL, NULL);
	return unused;
}

int firmware_main(void);

int main(int argc, char **argv)
{
	pthread_t threads[2];
	if (argc != 2) {
		fail("usage: APPLICATION SAMPLES");
	}
	samples = (uint32_t)strtoul(argv[1], NULL, 10);
	pthread_create(&threads[0], NULL, hardware, NULL);
	pthread_create(&threads[1], NULL, read_always, NULL);
	return firmware_main() != 0 ? 4 : 0;
}
