#include "program/search.h"

#include <errno.h>

#include "agent/oom.h"
#include "check.h"

struct tried {
	char all[512];
	const char *denied, *odd;
};

static int try(void *ctx, const char *candidate)
{
	struct tried *t = ctx;

	strncat(t->all, candidate, 80);
	strcat(t->all, " ");
	if (t->denied && strcmp(candidate, t->denied) == 0)
		return EACCES;
	return t->odd && strcmp(candidate, t->odd) == 0 ? ENOEXEC : ENOENT;
}

static int search(struct tried *t, const char *name, const char *path)
{
	t->all[0] = '\0';
	return search_and_exec(name, path, try, t);
}

static int count(void *ctx, const char *candidate)
{
	(void)candidate;
	++*(int *)ctx;
	return ENOENT;
}

static void a_path_is_not_searched_without_end(void)
{
	static char colons[100000];
	int tried = 0;

	memset(colons, ':', sizeof colons - 1);
	CHECK(search_and_exec("sh", colons, count, &tried) == ENOENT && tried == 1024);
}

void test_search(void)
{
	static char long_path[9000];
	struct tried t = { 0 };

	CHECK(search(&t, "sh", "/bin:/usr/bin") == ENOENT && strcmp(t.all, "/bin/sh /usr/bin/sh ") == 0);
	CHECK(search(&t, "./sh", "/bin") == ENOENT && strcmp(t.all, "./sh ") == 0);
	CHECK(search(&t, "a/b", "/bin") == ENOENT && strcmp(t.all, "a/b ") == 0);
	CHECK(search(&t, "sh", "") == ENOENT && strcmp(t.all, "./sh ") == 0);
	CHECK(search(&t, "sh", ":/bin:") == ENOENT && strcmp(t.all, "./sh /bin/sh ./sh ") == 0);
	t.denied = "/bin/sh";
	CHECK(search(&t, "sh", "/bin:/usr/bin") == EACCES && strcmp(t.all, "/bin/sh /usr/bin/sh ") == 0);
	t.odd = "/bin/sh";
	t.denied = NULL;
	CHECK(search(&t, "sh", "/bin:/usr/bin") == ENOEXEC && strcmp(t.all, "/bin/sh ") == 0);
	memset(long_path, 'x', sizeof long_path - 1);
	CHECK(search(&t, "sh", long_path) == ENOENT && t.all[0] == '\0');
	a_path_is_not_searched_without_end();
}

void test_oom(void)
{
	CHECK(oom_victim("3,527,98,-;Out of memory: Killed process 81 (hog) total-vm:1kB") == 81);
	CHECK(oom_victim("3,1,1,-;Memory cgroup out of memory: Killed process 7 (x)") == 7);
	CHECK(oom_victim("12,1,1,-;app: Killed process 81 (hog)") == 0);
	CHECK(oom_victim("") == 0);
	CHECK(oom_counter("nr_free_pages 1\noom_kill 42\nswap_ra 3\n") == 42);
	CHECK(oom_counter("nr_free_pages 1\n") == 0);
}
