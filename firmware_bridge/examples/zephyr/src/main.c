/*
 * Streams eight channels of an ADS1298 at 500 Hz to `ecgedge watch`, in frames of ten samples.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Three that share the work: the interrupt numbers and times each conversion, the reader fetches
 * it before the next one, main makes frames and sends them. A conversion that the reader missed,
 * or that found the queue full, is a number that never comes: the runtime counts it as lost.
 */
#include <zephyr/device.h>
#include <zephyr/drivers/gpio.h>
#include <zephyr/drivers/hwinfo.h>
#include <zephyr/drivers/spi.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>
#include <zephyr/random/random.h>

#include "ads1298.h"
#include "ecgedge_frame.h"

#define SAMPLES 10u
#define SLOTS 64 /* 128 ms */
#define BAUD 230400u /* 13.7 kB/s of 23.0 */
#define CHIP DT_NODELABEL(ads1298)

struct sample {
	uint64_t t_us;
	uint32_t number;
	uint8_t record[ADS1298_RECORD];
};

static const struct spi_dt_spec chip =
	SPI_DT_SPEC_GET(CHIP, SPI_WORD_SET(8) | SPI_TRANSFER_MSB | SPI_MODE_CPHA, 0);
static const struct gpio_dt_spec ready = GPIO_DT_SPEC_GET(CHIP, drdy_gpios);
static const struct gpio_dt_spec start = GPIO_DT_SPEC_GET(CHIP, start_gpios);
static const struct gpio_dt_spec reset = GPIO_DT_SPEC_GET(CHIP, reset_gpios);
static const struct device *const uart = DEVICE_DT_GET(DT_CHOSEN(zephyr_console));

/* The last conversion, as the interrupt saw it. */
static uint64_t last_us;
static uint32_t conversions;

K_SEM_DEFINE(converted, 0, 1);
K_MSGQ_DEFINE(samples, sizeof(struct sample), SLOTS, 8);

static ef_encoder encoder;
static ef_configuration configuration;
static ef_data block;
static int32_t counts[SAMPLES * ADS1298_CHANNELS];
static uint32_t told_at;
static uint8_t out[EF_FRAME_MAX];

static void on_ready(const struct device *port, struct gpio_callback *callback, uint32_t pins)
{
	ARG_UNUSED(port);
	ARG_UNUSED(callback);
	ARG_UNUSED(pins);
	last_us = k_ticks_to_us_floor64((uint64_t)k_uptime_ticks()); /* 64 bits: never wraps */
	conversions++;
	k_sem_give(&converted);
}

static int transceive(const uint8_t *sent, uint8_t *received, size_t length)
{
	const struct spi_buf tx = {.buf = (void *)(uintptr_t)sent, .len = length};
	const struct spi_buf rx = {.buf = received, .len = length};
	const struct spi_buf_set tx_set = {.buffers = &tx, .count = 1};
	const struct spi_buf_set rx_set = {.buffers = &rx, .count = 1};

	return spi_transceive_dt(&chip, &tx_set, &rx_set);
}

/* The number of the last conversion, and when it came. */
static uint32_t last(uint64_t *t_us)
{
	const unsigned int key = irq_lock();
	const uint32_t number = conversions - 1u;

	*t_us = last_us;
	irq_unlock(key);
	return number;
}

static void read_conversions(void *p1, void *p2, void *p3)
{
	static const uint8_t silence[ADS1298_RECORD];

	ARG_UNUSED(p1);
	ARG_UNUSED(p2);
	ARG_UNUSED(p3);
	for (;;) {
		struct sample sample;
		uint64_t later;

		(void)k_sem_take(&converted, K_FOREVER);
		sample.number = last(&sample.t_us);
		if (transceive(silence, sample.record, ADS1298_RECORD) == 0 &&
		    last(&later) == sample.number) { /* else it may be half of each */
			(void)k_msgq_put(&samples, &sample, K_NO_WAIT);
		}
	}
}

/* Before main and all else that is not the kernel's: a conversion lasts for 2 ms. */
K_THREAD_DEFINE(reader, 1024, read_conversions, NULL, NULL, NULL, K_PRIO_COOP(2), 0, 0);

static int command(uint8_t code)
{
	uint8_t ignored;
	const int failed = transceive(&code, &ignored, 1);

	k_busy_wait(10);
	return failed;
}

static int write_register(uint8_t at, uint8_t value)
{
	const uint8_t sent[3] = {(uint8_t)(ADS1298_WRITE_REGISTER | at), 0, value};
	uint8_t ignored[3];
	const int failed = transceive(sent, ignored, sizeof(sent));

	k_busy_wait(10);
	return failed;
}

static uint8_t read_register(uint8_t at)
{
	const uint8_t sent[3] = {(uint8_t)(ADS1298_READ_REGISTER | at), 0, 0};
	uint8_t received[3] = {0};

	(void)transceive(sent, received, sizeof(sent));
	k_busy_wait(10);
	return received[2];
}

static int start_chip(void)
{
	int failed = 0;

	do {
		(void)gpio_pin_set_dt(&reset, 1);
		k_msleep(1);
		(void)gpio_pin_set_dt(&reset, 0);
		k_msleep(200);
		(void)command(ADS1298_READ_ON_DEMAND);
	} while (read_register(0) != ADS1298_ID); /* not there yet, or not wired */
	for (size_t i = 0; i < ADS1298_SETUP; i++) {
		failed |= write_register(ads1298_setup[i][0], ads1298_setup[i][1]);
	}
	k_msleep(200); /* the reference settles */
	return failed | command(ADS1298_READ_ALWAYS);
}

static void send(size_t length)
{
	for (size_t i = 0; i < length; i++) {
		uart_poll_out(uart, out[i]);
	}
}

static void send_block(void)
{
	if (block.samples == 0u) {
		return;
	}
	if (encoder.channels == 0u || encoder.next - told_at >= ADS1298_RATE_HZ) {
		send(ef_encode_configuration(&encoder, &configuration, out, sizeof(out)));
		told_at = encoder.next;
	}
	send(ef_encode_data(&encoder, &block, out, sizeof(out)));
	block.samples = 0u;
	block.off = 0u;
}

static void add(const struct sample *sample)
{
	if (ads1298_in_step(sample->record) == 0u) {
		return; /* out of step: no sample, its number stays missing */
	}
	if (sample->number != encoder.next + block.samples) {
		send_block();
		ef_skip(&encoder, sample->number - encoder.next);
	}
	if (block.samples == 0u) {
		block.t_us = sample->t_us;
	}
	ads1298_counts(sample->record, counts + block.samples * ADS1298_CHANNELS);
	block.off |= ads1298_off(sample->record);
	block.samples++;
	if (block.samples == SAMPLES) {
		send_block();
	}
}

static uint64_t device_id(void)
{
	uint8_t octets[8] = {0};
	uint64_t id = 0;

	(void)hwinfo_get_device_id(octets, sizeof(octets));
	for (size_t i = 0; i < sizeof(octets); i++) {
		id = id << 8 | octets[i];
	}
	return id;
}

static int prepare(void)
{
	static struct gpio_callback callback;
	const struct uart_config line = {
		.baudrate = BAUD,
		.parity = UART_CFG_PARITY_NONE,
		.stop_bits = UART_CFG_STOP_BITS_1,
		.data_bits = UART_CFG_DATA_BITS_8,
		.flow_ctrl = UART_CFG_FLOW_CTRL_NONE,
	};

	if (!spi_is_ready_dt(&chip) || !gpio_is_ready_dt(&ready) || !device_is_ready(uart)) {
		return -ENODEV;
	}
	(void)uart_configure(uart, &line); /* USB has no speed to set */
	if (gpio_pin_configure_dt(&ready, GPIO_INPUT) != 0 ||
	    gpio_pin_configure_dt(&start, GPIO_OUTPUT_INACTIVE) != 0 ||
	    gpio_pin_configure_dt(&reset, GPIO_OUTPUT_INACTIVE) != 0) {
		return -EIO;
	}
	if (start_chip() != 0) {
		return -EIO;
	}
	configuration = ads1298_configuration(device_id(), sys_rand32_get());
	block.counts = counts;
	block.off_valid = ADS1298_OFF_VALID;
	gpio_init_callback(&callback, on_ready, BIT(ready.pin));
	if (gpio_add_callback_dt(&ready, &callback) != 0 ||
	    gpio_pin_interrupt_configure_dt(&ready, GPIO_INT_EDGE_TO_ACTIVE) != 0) {
		return -EIO;
	}
	return gpio_pin_set_dt(&start, 1);
}

int main(void)
{
	const int failed = prepare();

	if (failed != 0) {
		return failed;
	}
	for (;;) {
		struct sample sample;

		(void)k_msgq_get(&samples, &sample, K_FOREVER);
		add(&sample);
	}
}
