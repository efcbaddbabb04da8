/* As much of the Arduino core as the example uses; arduino_host.cpp makes it run. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>

#define LOW 0
#define HIGH 1
#define INPUT 0
#define OUTPUT 1
#define FALLING 2
#define A0 14
#define digitalPinToInterrupt(pin) (pin)

void pinMode(uint8_t pin, uint8_t mode);
void digitalWrite(uint8_t pin, uint8_t level);
int analogRead(uint8_t pin);
void attachInterrupt(int interrupt, void (*handler)(), int mode);
void noInterrupts();
void interrupts();
unsigned long micros();
void delay(unsigned long ms);
void delayMicroseconds(unsigned int us);

struct HostSerial {
  void begin(unsigned long baud);
  size_t write(const uint8_t *octets, size_t length);
};
extern HostSerial Serial;

void setup();
void loop();

#endif
