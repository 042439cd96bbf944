/* Sets clock and randomness, which must differ between VMs from one template. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ENTROPY_MAX = 256 };

/* Sets the wall clock to microseconds since 1970, if it is not 0. False on failure. */
bool set_clock(uint64_t epoch_us);

/* Credits `seed` (at most ENTROPY_MAX bytes) to the kernel's generator, and reseeds it at once. False on failure. */
bool add_entropy(const uint8_t *seed, size_t n);
