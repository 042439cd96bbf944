/* What must differ between VMs that came from one template: the clock and the randomness. */
#ifndef WINDHOVER_IDENTITY_H
#define WINDHOVER_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

/* Sets the wall clock to microseconds since 1970. 0 leaves it. Returns 0 or an errno. */
int set_clock(uint64_t epoch_us);

/* Credits `seed` (at most ENTROPY_MAX bytes) to the kernel's generator and makes it reseed at once. Returns 0 or an errno. */
int add_entropy(const uint8_t *seed, size_t n);

#endif
