/*
 * Streams eight channels of an ADS1298 at 500 Hz to `ecgedge watch`, in frames of ten samples.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Copy ecgedge_frame.h and ads1298.h into this folder. For a board with 8 KB of RAM and more
 * whose SPI may be used in an interrupt (Due, Zero, Teensy, STM32); an ESP32 wants a task instead.
 * Each conversion is read at once and numbered, because the chip keeps only the last one while
 * Serial.write may wait for longer; what does not fit into the ring is told as lost.
 */
#include <Arduino.h>
#include <SPI.h>

#include "ads1298.h"
#include "ecgedge_frame.h"

static const uint8_t PIN_SELECT = 10, PIN_READY = 2, PIN_START = 7, PIN_RESET = 8;
static const uint32_t BAUD = 230400;  // 13.7 kB/s of 23.0; native USB ignores it
static const uint64_t DEVICE = 0x1298000000000001ULL;  // of your own
static const uint8_t SAMPLES = 10;
static const uint8_t SLOTS = 64;  // a power of two: 128 ms

struct Sample {
  uint64_t t_us;
  uint32_t number;
  uint8_t record[ADS1298_RECORD];
};

static Sample ring[SLOTS];
static volatile uint8_t written = 0, taken = 0;  // count on and on; their difference is what waits
static uint32_t conversions = 0;

static ef_encoder encoder;
static ef_configuration configuration;
static ef_data block;
static int32_t counts[SAMPLES * ADS1298_CHANNELS];
static uint32_t told_at = 0;
static uint8_t out[EF_FRAME_MAX];

// micros() wraps around after 71.6 minutes. Asked at each conversion, it cannot do so unseen.
static uint64_t now_us() {
  static uint32_t last = 0, wraps = 0;
  const uint32_t now = static_cast<uint32_t>(micros());
  if (now < last) {
    wraps++;
  }
  last = now;
  return static_cast<uint64_t>(wraps) << 32 | now;
}

static void select_chip() {
  SPI.beginTransaction(SPISettings(4000000, MSBFIRST, SPI_MODE1));
  digitalWrite(PIN_SELECT, LOW);
}

static void release_chip() {
  digitalWrite(PIN_SELECT, HIGH);
  SPI.endTransaction();
}

static void on_ready() {
  const uint64_t t_us = now_us();
  const uint32_t number = conversions++;
  if (static_cast<uint8_t>(written - taken) == SLOTS) {
    return;  // no room: the next number will tell
  }
  Sample &slot = ring[written % SLOTS];
  slot.t_us = t_us;
  slot.number = number;
  select_chip();
  for (uint8_t i = 0; i < ADS1298_RECORD; i++) {
    slot.record[i] = SPI.transfer(0);
  }
  release_chip();
  written = static_cast<uint8_t>(written + 1);
}

static bool take(Sample &sample) {
  noInterrupts();
  const bool waits = written != taken;
  if (waits) {
    sample = ring[taken % SLOTS];
    taken = static_cast<uint8_t>(taken + 1);
  }
  interrupts();
  return waits;
}

static void command(uint8_t code) {
  select_chip();
  SPI.transfer(code);
  release_chip();
  delayMicroseconds(10);
}

static void write_register(uint8_t at, uint8_t value) {
  select_chip();
  SPI.transfer(static_cast<uint8_t>(ADS1298_WRITE_REGISTER | at));
  SPI.transfer(0);  // one register
  SPI.transfer(value);
  release_chip();
  delayMicroseconds(10);
}

static uint8_t read_register(uint8_t at) {
  select_chip();
  SPI.transfer(static_cast<uint8_t>(ADS1298_READ_REGISTER | at));
  SPI.transfer(0);  // one register
  const uint8_t value = SPI.transfer(0);
  release_chip();
  delayMicroseconds(10);
  return value;
}

static void start_chip() {
  do {
    digitalWrite(PIN_RESET, LOW);
    delay(1);
    digitalWrite(PIN_RESET, HIGH);
    delay(200);
    command(ADS1298_READ_ON_DEMAND);
  } while (read_register(0) != ADS1298_ID);  // not there yet, or not wired
  for (uint8_t i = 0; i < ADS1298_SETUP; i++) {
    write_register(ads1298_setup[i][0], ads1298_setup[i][1]);
  }
  delay(200);  // the reference settles
  command(ADS1298_READ_ALWAYS);
}

// Differs from start to start, mostly: the noise of an open pin.
static uint32_t boot_number() {
  uint32_t number = static_cast<uint32_t>(micros());
  for (uint8_t i = 0; i < 32; i++) {
    number = number * 1664525u + 1013904223u + static_cast<uint32_t>(analogRead(A0));
  }
  return number;
}

static void send_configuration() {
  Serial.write(out, ef_encode_configuration(&encoder, &configuration, out, sizeof out));
  told_at = encoder.next;
}

static void send_block() {
  if (block.samples == 0) {
    return;
  }
  if (encoder.channels == 0 || encoder.next - told_at >= ADS1298_RATE_HZ) {
    send_configuration();
  }
  Serial.write(out, ef_encode_data(&encoder, &block, out, sizeof out));
  block.samples = 0;
  block.off = 0;
}

void setup() {
  Serial.begin(BAUD);
  pinMode(PIN_SELECT, OUTPUT);
  pinMode(PIN_START, OUTPUT);
  pinMode(PIN_RESET, OUTPUT);
  pinMode(PIN_READY, INPUT);
  digitalWrite(PIN_SELECT, HIGH);
  digitalWrite(PIN_START, LOW);
  SPI.begin();
  start_chip();
  configuration = ads1298_configuration(DEVICE, boot_number());
  block.counts = counts;
  block.off_valid = ADS1298_OFF_VALID;
  attachInterrupt(digitalPinToInterrupt(PIN_READY), on_ready, FALLING);
  digitalWrite(PIN_START, HIGH);
}

void loop() {
  Sample sample;
  if (!take(sample) || !ads1298_in_step(sample.record)) {
    return;  // a record out of step is no sample: its number stays missing
  }
  if (sample.number != encoder.next + block.samples) {
    send_block();
    ef_skip(&encoder, sample.number - encoder.next);
  }
  if (block.samples == 0) {
    block.t_us = sample.t_us;
  }
  ads1298_counts(sample.record, counts + block.samples * ADS1298_CHANNELS);
  block.off = static_cast<uint16_t>(block.off | ads1298_off(sample.record));
  block.samples++;
  if (block.samples == SAMPLES) {
    send_block();
  }
}
