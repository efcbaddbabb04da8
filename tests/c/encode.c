/*
 * Frames in words, a line each, to frames in hexadecimal: what tests compare with wire.py.
 *
 *     configuration DEVICE(hex) BOOT RATE_MHZ REFERENCE_UV ENCODING FULL_SCALE FLAGS CHANNELS
 *                   (POSITIVE NEGATIVE GAIN_HUNDREDTHS)...
 *     data TAG NEXT FLAGS T_US OFF OFF_VALID CHANNELS SAMPLES COUNT...
 *     cobs LENGTH OCTET...
 *
 * Prints the frame, then the encoder's tag and next number; "refused" where the encoder gave 0.
 * Each buffer is exactly as long as the encoder asks for, so that a sanitizer sees one octet more;
 * "short" before a line gives one octet less.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EF_ASSERT(condition) assert(condition)
#include "ecgedge_frame.h"

static uint64_t number(int base)
{
    char word[32];
    if (scanf("%31s", word) != 1) {
        exit(2);
    }
    return strtoull(word, NULL, base);
}

static uint32_t u32(void) { return (uint32_t)number(10); }
static uint16_t u16(void) { return (uint16_t)number(10); }
static uint8_t u8(void) { return (uint8_t)number(10); }

static void show(const ef_encoder *encoder, const uint8_t *out, size_t length)
{
    size_t i;
    if (length == 0u) {
        printf("refused");
    }
    for (i = 0u; i < length; i++) {
        printf("%02x", (unsigned)out[i]);
    }
    printf(" %" PRIu32 " %" PRIu32 "\n", encoder->tag, encoder->next);
}

static void configuration(size_t shorter)
{
    ef_encoder encoder = {0u, 7u, 0u};
    ef_configuration told;
    uint8_t *out;
    size_t capacity, c;
    memset(&told, 0, sizeof told);
    told.device = number(16);
    told.boot = u32();
    told.rate_mhz = u32();
    told.reference_uv = u32();
    told.encoding = u8();
    told.full_scale = u32();
    told.flags = u8();
    told.channel_count = u8();
    for (c = 0u; c < told.channel_count && c < EF_CHANNELS_MAX; c++) {
        told.channels[c].positive = u8();
        told.channels[c].negative = u8();
        told.channels[c].gain_hundredths = u16();
    }
    capacity = EF_STUFFED_MAX(EF_CONFIGURATION_BODY((size_t)told.channel_count)) - shorter;
    out = (uint8_t *)malloc(capacity);
    show(&encoder, out, ef_encode_configuration(&encoder, &told, out, capacity));
    free(out);
}

static void data(size_t shorter)
{
    ef_encoder encoder;
    ef_data told;
    int32_t *counts;
    uint8_t *out;
    size_t capacity, total, c;
    encoder.tag = u32();
    encoder.next = u32();
    told.flags = u8();
    told.t_us = number(10);
    told.off = u16();
    told.off_valid = u16();
    encoder.channels = u8();
    told.samples = u8();
    total = (size_t)encoder.channels * told.samples;
    counts = (int32_t *)malloc(total * sizeof *counts + 1u);
    for (c = 0u; c < total; c++) {
        counts[c] = (int32_t)(uint32_t)number(10);
    }
    told.counts = counts;
    capacity = EF_STUFFED_MAX(EF_DATA_BODY((size_t)encoder.channels, told.samples)) - shorter;
    out = (uint8_t *)malloc(capacity);
    show(&encoder, out, ef_encode_data(&encoder, &told, out, capacity));
    free(counts);
    free(out);
}

static void cobs(void)
{
    const ef_encoder none = {0u, 0u, 0u};
    const size_t length = (size_t)number(10);
    uint8_t *out = (uint8_t *)malloc(length + length / 254u + 2u);
    ef_writer_ writer;
    size_t i;
    ef_begin_(&writer, out);
    for (i = 0u; i < length; i++) {
        ef_stuff_(&writer, u8());
    }
    show(&none, out, ef_end_(&writer));
    free(out);
}

int main(void)
{
    char kind[16];
    size_t shorter = 0u;
    while (scanf("%15s", kind) == 1) {
        if (strcmp(kind, "short") == 0) {
            shorter = 1u;
            continue;
        }
        if (strcmp(kind, "configuration") == 0) {
            configuration(shorter);
        } else if (strcmp(kind, "data") == 0) {
            data(shorter);
        } else if (strcmp(kind, "cobs") == 0) {
            cobs();
        } else {
            return 2;
        }
        shorter = 0u;
    }
    return 0;
}
