/* What the encoder costs: both functions, and nothing else. */
#include "ecgedge_frame.h"

size_t configuration_frame(ef_encoder *encoder, const ef_configuration *told, uint8_t *out, size_t capacity);
size_t data_frame(ef_encoder *encoder, const ef_data *data, uint8_t *out, size_t capacity);

size_t configuration_frame(ef_encoder *encoder, const ef_configuration *told, uint8_t *out, size_t capacity)
{
    return ef_encode_configuration(encoder, told, out, capacity);
}

size_t data_frame(ef_encoder *encoder, const ef_data *data, uint8_t *out, size_t capacity)
{
    return ef_encode_data(encoder, data, out, capacity);
}
