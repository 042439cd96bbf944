/* Reads /proc. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process_stat {
	char state;
	pid_t parent, session;
	unsigned flags;
	uint64_t user_ticks, system_ticks, start_ticks, resident_pages;
	char name[64];
};

/* Finds where the words of a line begin; returns their number, at most `max`. */
size_t split_words(const char *line, const char **words, size_t max);

/* Parses the text of /proc/PID/stat. */
bool parse_stat(const char *text, struct process_stat *out);

/* Calls `handle` for each process until it returns false. */
void for_each_process(bool (*handle)(void *ctx, pid_t pid), void *ctx);

/*
 * Calls `handle` for each line of a file until it returns false. Reads piece by piece, as there may be many lines; one of more than
 * 4 KiB, of which the kernel makes none, is cut.
 */
void for_each_line(const char *path, bool (*handle)(void *ctx, char *line), void *ctx);

bool read_stat(pid_t pid, struct process_stat *out);

/* Returns whether a process has ended or is exiting. */
bool is_exiting(pid_t pid);

/* Kills the members of a session until there are none left. */
void kill_members(pid_t session);
