/*
 * The ADS1298 as both examples use it: registers, record, wiring. Datasheet SBAS459.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * TI's 12-lead wiring (ADS1298RECG-FE guide, table 2): CH1 = V6, CH2 = I, CH3 = II, CH4 = V2,
 * CH5 = V3, CH6 = V4, CH7 = V5, CH8 = V1; chest leads against Wilson's terminal, made by the chip.
 */
#ifndef ADS1298_H
#define ADS1298_H

#include "ecgedge_frame.h"

#define ADS1298_RATE_HZ 500u
#define ADS1298_CHANNELS 8u
/* Status and eight numbers, three octets each. */
#define ADS1298_RECORD 27u
#define ADS1298_ID 0x92u

enum {
    ADS1298_RESET = 0x06, ADS1298_START = 0x08, ADS1298_READ_ALWAYS = 0x10,
    ADS1298_READ_ON_DEMAND = 0x11, ADS1298_READ_REGISTER = 0x20, ADS1298_WRITE_REGISTER = 0x40
};

/* Lead-off currents flow only into these inputs; bits of other inputs mean nothing. The negative
 * inputs of the chest leads are Wilson's terminal; CH3's is RA, which CH2's tells already. */
#define ADS1298_SENSE_POSITIVE 0xffu
#define ADS1298_SENSE_NEGATIVE 0x02u
#define ADS1298_OFF_VALID (ADS1298_SENSE_POSITIVE | ADS1298_SENSE_NEGATIVE << 8)

/* Register, value. */
static const uint8_t ads1298_setup[][2] = {
    {0x03u, 0xccu}, /* CONFIG3: internal 2.4 V reference and right leg drive on */
    {0x01u, 0x86u}, /* CONFIG1: high resolution, 500 samples a second */
    {0x02u, 0x00u}, /* CONFIG2: no test signal */
    {0x04u, 0x03u}, /* LOFF: direct current of 6 nA, thresholds 95 % and 5 % */
    {0x05u, 0x00u}, {0x06u, 0x00u}, {0x07u, 0x00u}, {0x08u, 0x00u}, /* CHnSET: gain 6, */
    {0x09u, 0x00u}, {0x0au, 0x00u}, {0x0bu, 0x00u}, {0x0cu, 0x00u}, /* electrodes */
    {0x0du, 0x06u}, /* RLD_SENSP: LA (CH2), LL (CH3) */
    {0x0eu, 0x02u}, /* RLD_SENSN: RA (CH2) */
    {0x0fu, ADS1298_SENSE_POSITIVE},
    {0x10u, ADS1298_SENSE_NEGATIVE},
    {0x14u, 0x00u}, /* GPIO: outputs, as they lead nowhere */
    {0x17u, 0x02u}, /* CONFIG4: lead-off comparators on */
    {0x18u, 0x0au}, /* WCT1: amplifier A on, from CH2 positive (LA) */
    {0x19u, 0xe3u}  /* WCT2: B and C on, from CH3 positive (LL) and CH2 negative (RA) */
};
#define ADS1298_SETUP (sizeof ads1298_setup / sizeof ads1298_setup[0])

/* What its counts are worth; device and boot are the caller's. */
static inline ef_configuration ads1298_configuration(uint64_t device, uint32_t boot)
{
    const ef_configuration told = {
        device, boot, ADS1298_RATE_HZ * 1000u, 2400000u, 0x7fffffu, EF_TWOS, 0u, ADS1298_CHANNELS,
        {{EF_C6, EF_WCT, 600u}, {EF_LA, EF_RA, 600u}, {EF_LL, EF_RA, 600u}, {EF_C2, EF_WCT, 600u},
         {EF_C3, EF_WCT, 600u}, {EF_C4, EF_WCT, 600u}, {EF_C5, EF_WCT, 600u}, {EF_C1, EF_WCT, 600u}}
    };
    return told;
}

/* Each record begins with 1100: another number means that bits have slipped. */
static inline uint8_t ads1298_in_step(const uint8_t *record)
{
    return (uint8_t)((record[0] & 0xf0u) == 0xc0u);
}

/* The status is 1100, eight bits of positive inputs, eight of negative ones, four pins. */
static inline uint16_t ads1298_off(const uint8_t *record)
{
    const uint32_t positive = ((uint32_t)record[0] << 4 | (uint32_t)record[1] >> 4) & 0xffu;
    const uint32_t negative = ((uint32_t)record[1] << 4 | (uint32_t)record[2] >> 4) & 0xffu;
    return (uint16_t)(positive | negative << 8);
}

static inline void ads1298_counts(const uint8_t *record, int32_t *counts)
{
    uint8_t c;
    for (c = 0u; c < ADS1298_CHANNELS; c++) {
        counts[c] = ef_int24(record + 3u + 3u * c);
    }
}

#endif /* ADS1298_H */
