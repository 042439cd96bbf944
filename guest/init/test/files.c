#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "program/files.h"

static char base[] = "/tmp/windhover-files-XXXXXX";
static int root;

static int put(char *path, const char *text, mode_t mode)
{
	struct file_request file = { .path = path, .content = (const uint8_t *)text, .len = strlen(text), .mode = mode };
	int fd = write_below(root, &file);

	if (fd >= 0)
		close(fd);
	return fd >= 0 ? 0 : -fd;
}

static bool holds(const char *path, const char *text, mode_t mode)
{
	char content[64] = { 0 };
	struct stat st;
	int fd = openat(root, path, O_RDONLY | O_NOFOLLOW);

	if (fd < 0)
		return false;
	CHECK(read(fd, content, sizeof content - 1) >= 0 && fstat(fd, &st) == 0);
	close(fd);
	return strcmp(content, text) == 0 && (st.st_mode & 07777) == mode;
}

static void folders_are_made_and_files_replaced(void)
{
	CHECK(put("/a/b/c/file", "one", 0640) == 0 && holds("a/b/c/file", "one", 0640));
	CHECK(put("/a/b/c/file", "two", 04755) == 0 && holds("a/b/c/file", "two", 04755));
	CHECK(put("//a//b/./other/", "three", 0600) == 0 && holds("a/b/other", "three", 0600));
}

static void links_do_not_lead_out(void)
{
	char outside[64];

	snprintf(outside, sizeof outside, "%s.outside", base);
	CHECK(mkdir(outside, 0755) == 0);
	CHECK(symlinkat(outside, root, "absolute") == 0 && symlinkat("../../../../../../tmp", root, "up") == 0);
	CHECK(symlinkat("/target", root, "inside") == 0 && mkdirat(root, "target", 0755) == 0);
	CHECK(put("/absolute/file", "x", 0644) != 0); /* no such folder within the root */
	CHECK(put("/inside/file", "in", 0644) == 0 && holds("target/file", "in", 0644));
	CHECK(put("/../../up/file", "up", 0644) != 0 || holds("tmp/file", "up", 0644));
	CHECK(rmdir(outside) == 0); /* still empty */
}

static void a_link_is_replaced_and_its_target_stays(void)
{
	CHECK(put("/busybox", "program", 0755) == 0 && symlinkat("busybox", root, "tool") == 0);
	CHECK(put("/tool", "mine", 0644) == 0);
	CHECK(holds("busybox", "program", 0755) && holds("tool", "mine", 0644));
}

static void what_is_no_place_for_a_file_is_refused(void)
{
	static char too_long[5000];

	CHECK(put("/", "x", 0644) == EISDIR && put("/..", "x", 0644) == EISDIR && put("/a", "x", 0644) == EISDIR);
	CHECK(put("/busybox/file", "x", 0644) == ENOTDIR);
	CHECK(put("/new/../other/file", "x", 0644) != 0);
	memset(too_long, 'x', sizeof too_long - 1);
	too_long[0] = '/';
	CHECK(put(too_long, "x", 0644) == ENAMETOOLONG);
}

void test_files(void)
{
	char command[128];

	CHECK(mkdtemp(base));
	root = open(base, O_PATH | O_DIRECTORY);
	CHECK(root >= 0);
	folders_are_made_and_files_replaced();
	links_do_not_lead_out();
	a_link_is_replaced_and_its_target_stays();
	what_is_no_place_for_a_file_is_refused();
	snprintf(command, sizeof command, "rm -rf %s", base);
	CHECK(system(command) == 0);
}
