/*
 * Runs an Arduino sketch on this machine, against the model of an ADS1298: SAMPLES conversions.
 *
 * Time is counted, not waited for. It passes while the sketch waits and while Serial sends, and
 * conversions interrupt the sketch there, as they would. Once, the computer takes nothing for
 * 300 ms: more than the sketch can hold.
 */
#include "Arduino.h"

#include "SPI.h"
#include "ads1298_model.h"

HostSerial Serial;
HostSPI SPI;

static const uint32_t STALL_AT = 1500;
static const uint64_t STALL_US = 300000;
static const uint8_t PIN_SELECT = 10, PIN_READY = 2, PIN_START = 7, PIN_RESET = 8;

static uint64_t now_us, due_us;
static uint32_t number, samples, baud;
static bool running, enabled = true, in_transaction, stalled;
static void (*on_ready)();

static void fail(const char *reason) {
  fprintf(stderr, "%s\n", reason);
  exit(3);
}

/* Conversions come while the chip runs; micros() tells their very moment. */
static void pass(uint64_t us) {
  const uint64_t until = now_us + us;
  while (running && due_us <= until && number < samples) {
    now_us = due_us;
    due_us += MODEL_PERIOD_US;
    model_convert(number++, now_us);
    if (!enabled || !on_ready) {
      fail("a conversion nobody listens to");
    }
    on_ready();
  }
  now_us = until;
}

void pinMode(uint8_t, uint8_t) {}
int analogRead(uint8_t) { return 512; }
void noInterrupts() { enabled = false; }
void interrupts() { enabled = true; }
unsigned long micros() { return static_cast<uint32_t>(now_us); }
void delay(unsigned long ms) { pass(1000u * ms); }
void delayMicroseconds(unsigned int us) { pass(us); }

void digitalWrite(uint8_t pin, uint8_t level) {
  if (pin == PIN_SELECT) {
    model_select(level == LOW);
  } else if (pin == PIN_RESET && level == LOW) {
    model_reset();
  } else if (pin == PIN_START && level == HIGH) {
    now_us = MODEL_START_US - MODEL_PERIOD_US;
    due_us = MODEL_START_US;
    running = true;
  }
}

void attachInterrupt(int interrupt, void (*handler)(), int mode) {
  if (interrupt != PIN_READY || mode != FALLING) {
    fail("the wrong interrupt");
  }
  on_ready = handler;
}

void HostSerial::begin(unsigned long speed) { baud = static_cast<uint32_t>(speed); }

size_t HostSerial::write(const uint8_t *octets, size_t length) {
  if (length == 0) {
    fail("an empty frame");
  }
  fwrite(octets, 1, length, stdout);
  pass(length * 10u * 1000000u / baud);
  if (!stalled && number >= STALL_AT) {
    stalled = true;
    pass(STALL_US);
  }
  return length;
}

SPISettings::SPISettings(uint32_t clock_hz, uint8_t order, uint8_t mode) {
  if (clock_hz > 20000000u || order != MSBFIRST || mode != SPI_MODE1) {
    fail("no settings for an ADS1298");
  }
}

void HostSPI::begin() {}
void HostSPI::beginTransaction(SPISettings) { in_transaction = true; }
void HostSPI::endTransaction() { in_transaction = false; }

uint8_t HostSPI::transfer(uint8_t octet) {
  if (!in_transaction) {
    fail("a transfer outside a transaction");
  }
  return model_transfer(octet);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fail("usage: SKETCH SAMPLES");
  }
  samples = static_cast<uint32_t>(strtoul(argv[1], nullptr, 10));
  setup();
  while (number < samples) {
    loop();
    pass(20);
  }
  for (int i = 0; i < 200; i++) {
    loop();
  }
  return 0;
}
