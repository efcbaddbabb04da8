/* The SPI library as the example uses it. */
#ifndef SPI_H
#define SPI_H

#include "Arduino.h"

#define MSBFIRST 1
#define SPI_MODE1 1

struct SPISettings {
  SPISettings(uint32_t clock_hz, uint8_t order, uint8_t mode);
};

struct HostSPI {
  void begin();
  void beginTransaction(SPISettings settings);
  uint8_t transfer(uint8_t octet);
  void endTransaction();
};
extern HostSPI SPI;

#endif
