/* Values that others published, asked of the header's parts: exits with the number of a failure. */
#include "ecgedge_frame.h"

static uint32_t crc_of(const char *text)
{
    uint32_t crc = 0xffffffffu;
    for (; *text != '\0'; text++) {
        crc = ef_crc32_(crc, (uint8_t)*text);
    }
    return ~crc;
}

static int32_t int24(uint8_t high, uint8_t middle, uint8_t low)
{
    const uint8_t octets[3] = {high, middle, low};
    return ef_int24(octets);
}

int main(void)
{
    ef_encoder encoder = {0u, 0xfffffffeu, 1u};
    /* Check value of CRC-32/ISO-HDLC, which is zlib's. */
    if (crc_of("123456789") != 0xcbf43926u) { return 1; }
    if (int24(0x80, 0x00, 0x00) != -8388608) { return 2; }
    if (int24(0x7f, 0xff, 0xff) != 8388607) { return 3; }
    if (int24(0xff, 0xff, 0xff) != -1) { return 4; }
    if (int24(0x00, 0x01, 0x02) != 258) { return 5; }
    ef_skip(&encoder, 3u);
    if (encoder.next != 1u) { return 6; }
    return EF_FRAME_MAX == 391u ? 0 : 7;
}
