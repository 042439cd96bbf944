/* Small things every part of the init needs. */
#ifndef WINDHOVER_SYS_H
#define WINDHOVER_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CLOCK_MONOTONIC in microseconds. */
uint64_t now_us(void);

/* Writes `text` to an existing file such as a sysctl. False on failure. */
bool write_file(const char *path, const char *text);

/* Reads at most cap - 1 bytes and ends them with a zero. Returns the length, or -1. */
long read_file(const char *path, char *buf, size_t cap);

/* The whole file as a string to free, "" when it is missing; NULL only when memory is out. At most `max` bytes.
 * Takes no more memory than the file is long: in a guest that is emulated, memory is slow to get. */
char *read_text(const char *path, size_t max);

/* Runs before everything else from now on, or no longer. Children are not affected. */
void set_urgent(bool urgent);

/* One line into the kernel log. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
