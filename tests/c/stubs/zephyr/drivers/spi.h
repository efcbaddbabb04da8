#ifndef ZEPHYR_SPI_H
#define ZEPHYR_SPI_H

#include <stddef.h>
#include <stdint.h>
#include <zephyr/device.h>

#define SPI_WORD_SET(bits) ((bits) << 5)
#define SPI_TRANSFER_MSB 0u
#define SPI_MODE_CPHA 4u

struct spi_dt_spec {
	const struct device *bus;
	uint32_t operation;
};
#define SPI_DT_SPEC_GET(node, operation, delay) {&host_device, operation}

struct spi_buf {
	void *buf;
	size_t len;
};
struct spi_buf_set {
	const struct spi_buf *buffers;
	size_t count;
};

bool spi_is_ready_dt(const struct spi_dt_spec *spec);
int spi_transceive_dt(const struct spi_dt_spec *spec, const struct spi_buf_set *tx,
		      const struct spi_buf_set *rx);

#endif
