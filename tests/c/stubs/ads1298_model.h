/*
 * An ADS1298 as a microcontroller sees it over SPI: commands, registers, records. For C and C++.
 *
 * What it converts is made up from the sample's number, and written to stderr, so that a test
 * knows what the other end of the wire must say: "sample NUMBER T_US STATUS COUNT...", and, when
 * continuous reading begins, "registers VALUE...".
 */
#ifndef ADS1298_MODEL_H
#define ADS1298_MODEL_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL_REGISTERS 26u
#define MODEL_RECORD 27u
#define MODEL_PERIOD_US 2000u
/* Half a second before a 32-bit clock of microseconds wraps around. */
#define MODEL_START_US (UINT64_C(0x100000000) - 500000u)
/* One conversion whose record is read one bit late. */
#define MODEL_SLIPPED 700u

static uint8_t model_registers[MODEL_REGISTERS];
static uint8_t model_record[MODEL_RECORD];
static int model_selected, model_continuous;
static unsigned model_place;      /* octets since selected */
static uint8_t model_command;     /* the first of them */

static void model_reset(void)
{
    memset(model_registers, 0xff, sizeof model_registers);
    model_registers[0] = 0x92u;
    model_continuous = 1; /* as the chip: it reads continuously after a reset */
}

static void model_select(int selected)
{
    model_selected = selected;
    model_place = 0u;
}

static void model_obey(uint8_t octet)
{
    size_t i;
    if (octet == 0x11u) {
        model_continuous = 0;
    } else if (octet == 0x10u) {
        model_continuous = 1;
        fprintf(stderr, "registers");
        for (i = 0u; i < MODEL_REGISTERS; i++) {
            fprintf(stderr, " %u", (unsigned)model_registers[i]);
        }
        fprintf(stderr, "\n");
    } else if (octet == 0x06u) {
        model_reset();
    }
}

/* One octet each way. While it reads continuously, the chip hears nothing but the stop. */
static uint8_t model_transfer(uint8_t octet)
{
    const unsigned place = model_place++;
    const uint8_t at = model_command & 0x1fu;
    if (!model_selected) {
        fprintf(stderr, "transfer without selection\n");
        exit(3);
    }
    if (place == 0u) {
        model_command = octet;
        if (!model_continuous || octet == 0x11u) {
            model_obey(octet);
        }
    }
    if (model_continuous) {
        return place < MODEL_RECORD ? model_record[place] : 0u;
    }
    if (place == 2u && at < MODEL_REGISTERS) {
        if ((model_command & 0xe0u) == 0x40u && at != 0u) {
            model_registers[at] = octet;
        } else if ((model_command & 0xe0u) == 0x20u) {
            return model_registers[at];
        }
    }
    return 0u;
}

static int32_t model_count(uint32_t number, uint32_t channel)
{
    uint32_t mixed = number * 2654435761u + channel * 2246822519u;
    if (number % 50u == 7u) {
        return channel % 2u ? 0x7fffff : -0x800000;
    }
    if (number % 50u == 8u) {
        return 0;
    }
    mixed ^= mixed >> 15;
    return (int32_t)(mixed & 0xffffffu) - 0x800000;
}

/* LL comes off for a fifth of a second, RA for three samples; one bit means nothing, ever. */
static uint32_t model_status(uint32_t number)
{
    uint32_t positive = 0u, negative = 0x01u;
    if (number >= 1200u && number < 1300u) {
        positive |= 0x04u;
    }
    if (number >= 2001u && number < 2004u) {
        negative |= 0x02u;
    }
    return 0xc00000u | positive << 12 | negative << 4;
}

/* The next conversion: its record can be read until the one after it. */
static void model_convert(uint32_t number, uint64_t t_us)
{
    uint32_t value = model_status(number);
    uint8_t i;
    size_t at;
    fprintf(stderr, "sample %lu %llu %lu", (unsigned long)number, (unsigned long long)t_us,
            (unsigned long)value);
    for (i = 0u; i <= 8u; i++) {
        if (i > 0u) {
            const int32_t count = model_count(number, i - 1u);
            fprintf(stderr, " %ld", (long)count);
            value = (uint32_t)count;
        }
        model_record[3u * i] = (uint8_t)(value >> 16 & 0xffu);
        model_record[3u * i + 1u] = (uint8_t)(value >> 8 & 0xffu);
        model_record[3u * i + 2u] = (uint8_t)(value & 0xffu);
    }
    fprintf(stderr, "\n");
    if (number == MODEL_SLIPPED) {
        for (at = 0u; at + 1u < MODEL_RECORD; at++) {
            model_record[at] = (uint8_t)(model_record[at] << 1 | model_record[at + 1u] >> 7);
        }
    }
}

#endif
