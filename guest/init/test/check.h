/* A test is a function; a CHECK that fails ends the program and prints the claim. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(claim)                                                                          \
	do {                                                                                  \
		if (!(claim)) {                                                               \
			fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #claim);   \
			exit(1);                                                              \
		}                                                                             \
	} while (0)

/* Numbers that look random and are the same in every run. */
static inline uint32_t dice(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15ull;

	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(state >> 33);
}

void test_frames(void);
void test_fields(void);
void test_requests(void);
void test_users(void);
void test_ring(void);
void test_lines(void);
void test_search(void);
void test_oom(void);
void test_memory(void);
void test_execs(void);
void test_processes(void);
void test_files(void);
void test_listening(void);
void test_streams(void);
void test_api(void);
