#ifndef ZEPHYR_UART_H
#define ZEPHYR_UART_H

#include <stdint.h>
#include <zephyr/device.h>

#define UART_CFG_PARITY_NONE 0
#define UART_CFG_STOP_BITS_1 1
#define UART_CFG_DATA_BITS_8 3
#define UART_CFG_FLOW_CTRL_NONE 0

struct uart_config {
	uint32_t baudrate;
	uint8_t parity, stop_bits, data_bits, flow_ctrl;
};
int uart_configure(const struct device *device, const struct uart_config *line);
void uart_poll_out(const struct device *device, unsigned char octet);

#endif
