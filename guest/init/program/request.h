/* The RUN message, and that of a command beside the workload, parsed and checked. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "system/identity.h"

enum { ARGS_MAX = 4096, ENV_MAX = 4096, VOLUMES_MAX = 256, FILES_MAX = 1024, SPARE_ENV = 5 };

/* Folders of a path: to make them takes as long as the square of their number, and the start holds its slot meanwhile. */
enum { DEPTH_MAX = 64 };

/* A file to write before the program runs. */
struct file_request {
	char *path;
	const uint8_t *content;
	size_t len;
	mode_t mode;
};

/* Strings point into `memory`. Zero-initialise; free with `run_request_free`. */
struct run_request {
	uint64_t host_time_us;
	uint8_t entropy[ENTROPY_MAX];
	size_t entropy_len;
	char *root_serial, *scratch_serial, *user, *working_dir, *hostname;
	char *resolver; /* NULL: the default */
	bool tty;
	char **argv, **envp; /* each ends with NULL; envp has room for SPARE_ENV more */
	char **volumes; /* paths; ends with NULL */
	struct file_request *files;
	size_t argc, envc, volumec, filec;
	char *memory;
};

/* False, with the reason in `*why`, when the body is broken, lacks a field or exceeds a limit. */
bool run_request_parse(struct run_request *r, const uint8_t *body, size_t n, const char **why);

/*
 * The same for a command: what is absent is the workload's, and its environment is added to the
 * workload's.
 */
bool exec_request_parse(struct run_request *r, const struct run_request *workload, const uint8_t *body, size_t n, const char **why);
void run_request_free(struct run_request *r);

/* The value of a variable, or NULL. */
const char *env_get(char *const *envp, const char *name);

/* Adds a variable unless there is one of that name. At most SPARE_ENV times. */
void env_default(struct run_request *r, const char *name, const char *value);
