/* Message bodies: fields of tag (2 bytes), length (4 bytes), value; little endian. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TLV_HEADER = 6 };

struct tlv {
	uint16_t tag;
	uint32_t len;
	const uint8_t *value;
};

struct tlv_reader {
	const uint8_t *at;
	size_t left;
	bool broken; /* set when a field reaches beyond the body */
};

/* Reads the next field; false at the end or when the body is broken. */
bool tlv_next(struct tlv_reader *r, struct tlv *field);

/* Reads the field as an unsigned number of 1, 2, 4 or 8 bytes; false for any other length. */
bool tlv_number(const struct tlv *field, uint64_t *value);

/* A body being written. A field that does not fit sets `full`; nothing is written then. */
struct tlv_writer {
	uint8_t *buf;
	size_t len, cap;
	bool full;
};

void tlv_put(struct tlv_writer *w, uint16_t tag, const void *value, size_t n);
void tlv_put_u8(struct tlv_writer *w, uint16_t tag, uint8_t value);
void tlv_put_u32(struct tlv_writer *w, uint16_t tag, uint32_t value);
void tlv_put_u64(struct tlv_writer *w, uint16_t tag, uint64_t value);

void put_le(uint8_t *out, uint64_t value, size_t bytes);
