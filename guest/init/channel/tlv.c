#include "channel/tlv.h"

#include <string.h>

static uint64_t get_le(const uint8_t *p, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = bytes; i-- > 0;)
		value = value << 8 | p[i];
	return value;
}

void put_le(uint8_t *out, uint64_t value, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++, value >>= 8)
		out[i] = (uint8_t)value;
}

bool tlv_next(struct tlv_reader *r, struct tlv *field)
{
	if (r->broken || r->left == 0)
		return false;
	if (r->left < TLV_HEADER) {
		r->broken = true;
		return false;
	}
	field->tag = (uint16_t)get_le(r->at, 2);
	field->len = (uint32_t)get_le(r->at + 2, 4);
	field->value = r->at + TLV_HEADER;
	if (field->len > r->left - TLV_HEADER) {
		r->broken = true;
		return false;
	}
	r->at += TLV_HEADER + field->len;
	r->left -= TLV_HEADER + field->len;
	return true;
}

bool tlv_number(const struct tlv *field, uint64_t *value)
{
	if (field->len != 1 && field->len != 2 && field->len != 4 && field->len != 8)
		return false;
	*value = get_le(field->value, field->len);
	return true;
}

void tlv_put(struct tlv_writer *w, uint16_t tag, const void *value, size_t n)
{
	if (w->full || n > UINT32_MAX || w->cap - w->len < TLV_HEADER || w->cap - w->len - TLV_HEADER < n) {
		w->full = true;
		return;
	}
	put_le(w->buf + w->len, tag, 2);
	put_le(w->buf + w->len + 2, n, 4);
	if (n > 0)
		memcpy(w->buf + w->len + TLV_HEADER, value, n);
	w->len += TLV_HEADER + n;
}

static void put_number(struct tlv_writer *w, uint16_t tag, uint64_t value, size_t bytes)
{
	uint8_t le[8];

	put_le(le, value, bytes);
	tlv_put(w, tag, le, bytes);
}

void tlv_put_u8(struct tlv_writer *w, uint16_t tag, uint8_t value)
{
	put_number(w, tag, value, 1);
}

void tlv_put_u32(struct tlv_writer *w, uint16_t tag, uint32_t value)
{
	put_number(w, tag, value, 4);
}

void tlv_put_u64(struct tlv_writer *w, uint16_t tag, uint64_t value)
{
	put_number(w, tag, value, 8);
}
