#ifndef ZEPHYR_GPIO_H
#define ZEPHYR_GPIO_H

#include <stdint.h>
#include <zephyr/device.h>

/* The properties of the devicetree node, as pins. */
enum { host_pin_drdy_gpios = 2, host_pin_start_gpios = 7, host_pin_reset_gpios = 8 };

struct gpio_dt_spec {
	const struct device *port;
	uint8_t pin;
};
#define GPIO_DT_SPEC_GET(node, property) {&host_device, host_pin_##property}

struct gpio_callback;
typedef void (*gpio_callback_handler_t)(const struct device *, struct gpio_callback *, uint32_t);
struct gpio_callback {
	gpio_callback_handler_t handler;
	uint32_t pin_mask;
};

#define GPIO_INPUT 1u
#define GPIO_OUTPUT_INACTIVE 2u
#define GPIO_INT_EDGE_TO_ACTIVE 4u

bool gpio_is_ready_dt(const struct gpio_dt_spec *spec);
int gpio_pin_configure_dt(const struct gpio_dt_spec *spec, uint32_t flags);
int gpio_pin_interrupt_configure_dt(const struct gpio_dt_spec *spec, uint32_t flags);
int gpio_pin_set_dt(const struct gpio_dt_spec *spec, int value);
void gpio_init_callback(struct gpio_callback *callback, gpio_callback_handler_t handler,
			uint32_t pin_mask);
int gpio_add_callback_dt(const struct gpio_dt_spec *spec, struct gpio_callback *callback);

#endif
