/*
 * ecgedge_frame.h: an encoder for the ecgedge wire format, version 1. C99, header-only.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *     static ef_encoder encoder;                     zeroed: nothing was sent yet
 *     static uint8_t out[EF_FRAME_MAX];
 *     n = ef_encode_configuration(&encoder, &configuration, out, sizeof out);    each second
 *     n = ef_encode_data(&encoder, &data, out, sizeof out);                      5-10 samples
 *     if (n != 0u) { uart_write(out, n); }
 *
 * No allocation, no recursion, no floating point, nothing of a C library, no other state than
 * the caller's. Octets are stored one by one: byte order and alignment of the machine do not
 * matter. Frames are stuffed while they are written, so that the caller's buffer is the only one.
 * An encoder is not to be used by two threads at once, nor by an interrupt and what it interrupts.
 *
 * README.md beside this folder draws the frames; vectors/ holds what every encoder must give.
 */
#ifndef ECGEDGE_FRAME_H
#define ECGEDGE_FRAME_H

#include <stddef.h>
#include <stdint.h>

/* Called with what must be true and is cheap to check; define it before you include this file. */
#ifndef EF_ASSERT
#define EF_ASSERT(condition) ((void)0)
#endif

#define EF_VERSION 1u
#define EF_CHANNELS_MAX 8u
#define EF_SAMPLES_MAX 15u

/* Octets of a body with its checksum, before stuffing. */
#define EF_DATA_BODY(channels, samples) (28u + 3u * (channels) * (samples))
#define EF_CONFIGURATION_BODY(channels) (32u + 4u * (channels))
/* The most octets such a body can become: a code, another after 254 octets (no body reaches a
 * third; and no division, which a Cortex-M0 would need a library for), the zero at the end. */
#define EF_STUFFED_MAX(body) ((body) + ((body) < 254u ? 2u : 3u))
/* A buffer of this size takes any frame. */
#define EF_FRAME_MAX EF_STUFFED_MAX(EF_DATA_BODY(EF_CHANNELS_MAX, EF_SAMPLES_MAX))

/* What an input can be tied to. C1 to C6 make V1 to V6; WCT: Wilson's terminal, made by the
 * chip; REF: one reference common to all channels; NC: nothing. */
enum {
    EF_NC = 0, EF_RA = 1, EF_LA = 2, EF_LL = 3, EF_C1 = 4, EF_C2 = 5, EF_C3 = 6,
    EF_C4 = 7, EF_C5 = 8, EF_C6 = 9, EF_WCT = 10, EF_REF = 11
};
/* Numbers: two's complement, or offset binary with 0 V at half of full scale (ADS1293). */
enum { EF_TWOS = 0, EF_OFFSET = 1 };
/* Flags of a configuration and of data. Others are reserved and refused. */
enum { EF_NO_VOLTAGE = 1 };
enum { EF_NO_TIME = 1 };

/* One converter input: (positive - negative) * gain_hundredths / 100. */
typedef struct ef_channel {
    uint8_t positive;          /* EF_RA ... */
    uint8_t negative;
    uint16_t gain_hundredths;  /* not 0 */
} ef_channel;

/* What counts are worth. Nothing in it changes by itself: a change is a new configuration. */
typedef struct ef_configuration {
    uint64_t device;        /* names the device */
    uint32_t boot;          /* another number at each start, however made */
    uint32_t rate_mhz;      /* samples a second of every channel, times 1000; not 0 (README.md: range) */
    uint32_t reference_uv;  /* the converter's reference voltage; not 0 */
    uint32_t full_scale;    /* EF_TWOS: count at +reference, to 2^23; EF_OFFSET: highest count */
    uint8_t encoding;       /* EF_TWOS or EF_OFFSET */
    uint8_t flags;          /* 0, or EF_NO_VOLTAGE: counts stand for no voltage */
    uint8_t channel_count;  /* 1 to EF_CHANNELS_MAX */
    ef_channel channels[EF_CHANNELS_MAX];
} ef_configuration;

/* Successive samples, and what was true while they were taken. */
typedef struct ef_data {
    const int32_t *counts;  /* samples * channels, all channels of the first sample first */
    uint64_t t_us;          /* the microcontroller's clock at the first sample; must not wrap */
    uint16_t off;           /* input off: bit c positive of channel c, bit 8 + c negative */
    uint16_t off_valid;     /* which of these bits mean anything */
    uint8_t samples;        /* 1 to EF_SAMPLES_MAX */
    uint8_t flags;          /* 0, or EF_NO_TIME: t_us means nothing */
} ef_data;

/* All zero before the first frame. `next` numbers the samples since the start, modulo 2^32. */
typedef struct ef_encoder {
    uint32_t tag;      /* checksum of the configuration that was encoded last */
    uint32_t next;     /* number of the next sample */
    uint8_t channels;  /* of that configuration; 0 before the first */
} ef_encoder;

/* --- private: names end in an underscore -------------------------------------------------- */

typedef struct ef_writer_ {
    uint8_t *out;
    size_t at;    /* the next octet goes here */
    size_t code;  /* the length of the current block goes here, once it is known */
    uint32_t crc;
} ef_writer_;

static inline void ef_open_block_(ef_writer_ *writer)
{
    writer->code = writer->at;
    writer->at++;
}

static inline void ef_close_block_(const ef_writer_ *writer)
{
    writer->out[writer->code] = (uint8_t)(writer->at - writer->code);
}

static inline void ef_begin_(ef_writer_ *writer, uint8_t *out)
{
    writer->out = out;
    writer->at = 0u;
    writer->crc = 0xffffffffu;
    ef_open_block_(writer);
}

/* COBS: a full block of 254 is closed only when more follows, which gives the shortest form. */
static inline void ef_stuff_(ef_writer_ *writer, uint8_t octet)
{
    if (writer->at - writer->code == 255u) {
        ef_close_block_(writer);
        ef_open_block_(writer);
    }
    if (octet == 0u) {
        ef_close_block_(writer);
        ef_open_block_(writer);
    } else {
        writer->out[writer->at] = octet;
        writer->at++;
    }
}

static inline size_t ef_end_(ef_writer_ *writer)
{
    ef_close_block_(writer);
    writer->out[writer->at] = 0u;
    return writer->at + 1u;
}

/* CRC-32 of IEEE 802.3 and zlib (reflected, 0xedb88320), four bits at a time: 64 octets. */
static inline uint32_t ef_crc32_(uint32_t crc, uint8_t octet)
{
    static const uint32_t table[16] = {
        0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu,
        0x76dc4190u, 0x6b6b51f4u, 0x4db26158u, 0x5005713cu,
        0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu,
        0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu
    };
    crc ^= octet;
    crc = (crc >> 4) ^ table[crc & 15u];
    return (crc >> 4) ^ table[crc & 15u];
}

/* The low octets of a number, lowest first, into the frame and its checksum. */
static inline void ef_put_(ef_writer_ *writer, uint32_t value, uint8_t octets)
{
    for (; octets > 0u; octets--) {
        const uint8_t octet = (uint8_t)(value & 0xffu);
        writer->crc = ef_crc32_(writer->crc, octet);
        ef_stuff_(writer, octet);
        value >>= 8;
    }
}

static inline void ef_put64_(ef_writer_ *writer, uint64_t value)
{
    ef_put_(writer, (uint32_t)(value & 0xffffffffu), 4u);
    ef_put_(writer, (uint32_t)(value >> 32), 4u);
}

/* The checksum, which is returned through crc, and the delimiter. Returns the frame's length. */
static inline size_t ef_seal_(ef_writer_ *writer, uint32_t *crc)
{
    *crc = ~writer->crc;
    ef_put_(writer, *crc, 4u);
    return ef_end_(writer);
}

static inline uint8_t ef_is_valid_(const ef_configuration *told)
{
    uint8_t c;
    if (told->channel_count == 0u || told->channel_count > EF_CHANNELS_MAX
        || told->rate_mhz == 0u || told->reference_uv == 0u || told->full_scale == 0u
        || told->encoding > EF_OFFSET || told->flags > EF_NO_VOLTAGE
        || told->full_scale > (told->encoding == EF_OFFSET ? 0xffffffu : 0x800000u)) {
        return 0u;
    }
    for (c = 0u; c < told->channel_count; c++) {
        const ef_channel *channel = &told->channels[c];
        if (channel->positive > EF_REF || channel->negative > EF_REF
            || channel->gain_hundredths == 0u) {
            return 0u;
        }
    }
    return 1u;
}

/* --- public -------------------------------------------------------------------------------- */

/*
 * Writes a configuration frame with its delimiter, and makes it the one that data belong to.
 *
 * To be sent before the first data frame, at every change, and again each second, so that a
 * runtime that starts later understands. Samples that were taken before a change must have been
 * encoded before it. capacity: octets at `out`, at least
 * EF_STUFFED_MAX(EF_CONFIGURATION_BODY(channel_count)), whatever the content.
 *
 * Returns the frame's length; 0, with nothing written and nothing changed, where a pointer is
 * null, a field is out of the range told above or the buffer is too small.
 */
static inline size_t ef_encode_configuration(ef_encoder *encoder, const ef_configuration *told,
                                             uint8_t *out, size_t capacity)
{
    ef_writer_ writer;
    uint8_t c;
    if (encoder == NULL || told == NULL || out == NULL || ef_is_valid_(told) == 0u
        || capacity < EF_STUFFED_MAX(EF_CONFIGURATION_BODY((size_t)told->channel_count))) {
        return 0u;
    }
    ef_begin_(&writer, out);
    ef_put_(&writer, EF_VERSION << 4 | 2u, 1u);
    ef_put_(&writer, told->flags, 1u);
    ef_put64_(&writer, told->device);
    ef_put_(&writer, told->boot, 4u);
    ef_put_(&writer, told->rate_mhz, 4u);
    ef_put_(&writer, told->reference_uv, 4u);
    ef_put_(&writer, told->encoding, 1u);
    ef_put_(&writer, told->full_scale, 4u);
    ef_put_(&writer, told->channel_count, 1u);
    for (c = 0u; c < told->channel_count; c++) {
        ef_put_(&writer, told->channels[c].positive, 1u);
        ef_put_(&writer, told->channels[c].negative, 1u);
        ef_put_(&writer, told->channels[c].gain_hundredths, 2u);
    }
    encoder->channels = told->channel_count;
    return ef_seal_(&writer, &encoder->tag);
}

/*
 * Writes a data frame with its delimiter, and counts its samples.
 *
 * Counts must lie within 24 bits, signed (EF_TWOS) or not (EF_OFFSET): the low 24 bits are sent.
 * They are counted even if the frame cannot be sent afterwards, so that the runtime knows what is
 * missing. capacity: octets at `out`, at least EF_STUFFED_MAX(EF_DATA_BODY(channels, samples)),
 * whatever the content.
 *
 * Returns the frame's length; 0, with nothing written and nothing counted, where a pointer is
 * null, no configuration was encoded before, a field is out of range or the buffer is too small.
 */
static inline size_t ef_encode_data(ef_encoder *encoder, const ef_data *data,
                                    uint8_t *out, size_t capacity)
{
    ef_writer_ writer;
    uint32_t crc;
    uint8_t total;
    uint8_t count;
    if (encoder == NULL || data == NULL || out == NULL || data->counts == NULL
        || encoder->channels == 0u || encoder->channels > EF_CHANNELS_MAX
        || data->samples == 0u || data->samples > EF_SAMPLES_MAX || data->flags > EF_NO_TIME
        || capacity < EF_STUFFED_MAX(EF_DATA_BODY((size_t)encoder->channels, data->samples))) {
        return 0u;
    }
    ef_begin_(&writer, out);
    ef_put_(&writer, EF_VERSION << 4 | 1u, 1u);
    ef_put_(&writer, data->flags, 1u);
    ef_put_(&writer, data->off, 2u);
    ef_put_(&writer, data->off_valid, 2u);
    ef_put_(&writer, encoder->channels, 1u);
    ef_put_(&writer, data->samples, 1u);
    ef_put_(&writer, encoder->tag, 4u);
    ef_put_(&writer, encoder->next, 4u);
    ef_put64_(&writer, data->flags == EF_NO_TIME ? 0u : data->t_us);
    total = (uint8_t)(encoder->channels * data->samples);
    for (count = 0u; count < total; count++) {
        EF_ASSERT(data->counts[count] >= -0x800000 && data->counts[count] <= 0xffffff);
        ef_put_(&writer, (uint32_t)data->counts[count], 3u);
    }
    encoder->next += data->samples;
    return ef_seal_(&writer, &crc);
}

/* Counts samples that were taken and will never be sent: the runtime then knows how many. */
static inline void ef_skip(ef_encoder *encoder, uint32_t samples)
{
    encoder->next += samples;
}

/* A 24-bit two's complement number as front ends send it, highest octet first. */
static inline int32_t ef_int24(const uint8_t *octets)
{
    const uint32_t raw = (uint32_t)octets[0] << 16 | (uint32_t)octets[1] << 8 | octets[2];
    const uint32_t above_least = raw ^ 0x800000u;
    return (int32_t)above_least - 0x800000;
}

#endif /* ECGEDGE_FRAME_H */
