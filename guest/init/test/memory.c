#include "agent/thrash.h"
#include "check.h"
#include "workload/cgroup.h"

static const uint64_t MIB = 1024 * 1024, INTERVAL_US = THRASH_INTERVAL_MS * 1000;

static void the_kernels_texts_are_read(void)
{
	static const char stat[] = "anon 5\nfile 9\ninactive_file 3\nactive_file 4\nslab 8\n"
				   "workingset_refault_anon 6\nworkingset_refault_file 7\npgfault 11\npgmajfault 12\n";
	struct memory_use use;

	parse_memory_use("4096\n", stat, &use);
	CHECK(use.used == 4096 && use.files == 7 && use.refaults == 7 && use.major_faults == 12);
	parse_memory_use("", "", &use);
	CHECK(use.used == 0 && use.files == 0 && use.refaults == 0 && use.major_faults == 0);
}

/* Takes samples of a workload whose counters grow by `step`; returns how many until a kill, or 0. */
static int samples_until_kill(uint64_t files, uint64_t refaults, uint64_t major_faults, int samples)
{
	struct thrash_watch w = { .limit = 180 * MIB, .at_us = 1 };
	struct memory_use use = { .used = 180 * MIB, .files = files };
	uint64_t now = 1;

	w.last = use;
	for (int i = 1; i <= samples; i++) {
		now += INTERVAL_US;
		use.refaults += refaults;
		use.major_faults += major_faults;
		if (!thrash_due(&w, now))
			return 0;
		if (thrash_sample(&w, &use, now))
			return i;
	}
	return 0;
}

static void only_a_program_without_room_for_itself_is_killed(void)
{
	CHECK(samples_until_kill(MIB, 5000, 100, 20) == 5);
	/* A large file read again and again by read(2), beside little memory of its own or much. */
	CHECK(samples_until_kill(170 * MIB, 5000, 0, 20) == 0);
	CHECK(samples_until_kill(2 * MIB, 5000, 2, 20) == 0);
	/* The same through mmap(2), with room for some of it. */
	CHECK(samples_until_kill(20 * MIB, 5000, 400, 20) == 0);
	/* The first reading of a program. */
	CHECK(samples_until_kill(4 * MIB, 0, 400, 20) == 0);
	/* At its limit, but at work. */
	CHECK(samples_until_kill(3 * MIB, 20, 20, 20) == 0);
}

static void sampling_ends_when_all_is_calm(void)
{
	struct thrash_watch w = { .limit = 180 * MIB, .at_us = 1 };
	struct memory_use use = { .files = 50 * MIB };
	uint64_t now = 1;
	int samples = 0;

	CHECK(!thrash_due(&w, now));
	while (thrash_due(&w, now += INTERVAL_US) && samples < 100) {
		CHECK(!thrash_sample(&w, &use, now));
		samples++;
	}
	CHECK(samples == 8 && w.at_us == 0);
}

void test_memory(void)
{
	the_kernels_texts_are_read();
	only_a_program_without_room_for_itself_is_killed();
	sampling_ends_when_all_is_calm();
}
