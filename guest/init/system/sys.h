/* Helpers that every part of the init needs. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CLOCK_MONOTONIC in microseconds. */
uint64_t now_us(void);

/* Writes `text` to an existing file such as a sysctl. False on failure. */
bool write_file(const char *path, const char *text);

/* Reads at most cap - 1 bytes and ends them with a zero. Returns the length, or -1. */
long read_file(const char *path, char *buf, size_t cap);

/*
 * Reads at most `max` bytes of a file into a string to free, "" when there is no such file, or
 * something else there; NULL when memory is out. Takes no more memory than the file is long, as
 * memory is slow to get under emulation.
 */
char *read_text(const char *path, size_t max);

/* Closes a file descriptor unless it is -1, which it is afterwards. */
void close_fd(int *fd);

/* Runs this process before all others, or no longer. Children are not affected. */
void set_realtime(bool realtime);

/* Writes one line into the kernel log. */
void log_kernel(const char *format, ...) __attribute__((format(printf, 1, 2)));
