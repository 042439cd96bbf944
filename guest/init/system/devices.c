#include "system/devices.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "system/sys.h"

enum { POLL_US = 500 };

bool mount_kernel_filesystems(void)
{
	mkdir("/proc", 0555);
	mkdir("/sys", 0555);
	mkdir("/dev", 0755);
	return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0 &&
	       mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0 &&
	       mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755") == 0;
}

bool load_modules(const char *dir)
{
	struct dirent **names;
	int count = scandir(dir, &names, NULL, alphasort);
	bool ok = count > 0;

	for (int i = 0; i < count; i++) {
		char path[512];
		int fd;

		if (names[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST)) {
			log_kernel("module %s: %s", names[i]->d_name, strerror(errno));
			ok = false;
		}
		if (fd >= 0)
			close(fd);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
	return ok;
}

/* Finds the entry of a folder in /sys whose attribute is `value`. */
static bool find(const char *dir, const char *attribute, const char *value, char *path, size_t cap)
{
	DIR *entries = opendir(dir);
	struct dirent *entry;
	bool found = false;

	if (!entries)
		return false;
	while (!found && (entry = readdir(entries))) {
		char file[512], text[128];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(file, sizeof file, "%s/%s/%s", dir, entry->d_name, attribute);
		if (read_file(file, text, sizeof text) < 0)
			continue;
		text[strcspn(text, "\n")] = '\0';
		if (strcmp(text, value) == 0)
			found = snprintf(path, cap, "/dev/%s", entry->d_name) < (int)cap && access(path, F_OK) == 0;
	}
	closedir(entries);
	return found;
}

static bool wait_for(const char *dir, const char *attribute, const char *value, char *path, size_t cap, int timeout_ms)
{
	uint64_t deadline = now_us() + (uint64_t)timeout_ms * 1000;

	while (!find(dir, attribute, value, path, cap)) {
		if (now_us() >= deadline)
			return false;
		usleep(POLL_US);
	}
	return true;
}

bool wait_for_port(const char *name, char *path, size_t cap, int timeout_ms)
{
	return wait_for("/sys/class/virtio-ports", "name", name, path, cap, timeout_ms);
}

bool wait_for_disk(const char *serial, char *path, size_t cap, int timeout_ms)
{
	return wait_for("/sys/block", "serial", serial, path, cap, timeout_ms);
}

void disable_io_schedulers(void)
{
	static const char *const settings[][2] = { { "scheduler", "none" }, { "wbt_lat_usec", "0" } };
	DIR *disks = opendir("/sys/block");
	struct dirent *disk;

	while (disks && (disk = readdir(disks))) {
		char file[512];

		for (size_t i = 0; disk->d_name[0] != '.' && i < sizeof settings / sizeof *settings; i++) {
			snprintf(file, sizeof file, "/sys/block/%s/queue/%s", disk->d_name, settings[i][0]);
			write_file(file, settings[i][1]);
		}
	}
	if (disks)
		closedir(disks);
}
