#include "root.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net.h"

#define IMAGE_DIR "/image"
#define ROOT_DIR "/root"
#define RUN_DIR SCRATCH_DIR "/run"
#define UPPER_DIR RUN_DIR "/upper"
#define WORK_DIR RUN_DIR "/work"

enum { MAX_OPEN = 16 };

static int mounted(const char *source, const char *target, const char *type, unsigned long flags, const char *options)
{
	if (mkdir(target, 0755) < 0 && errno != EEXIST)
		return errno;
	return mount(source, target, type, flags, options) < 0 ? errno : 0;
}

int mount_scratch(const char *disk)
{
	return mounted(disk, SCRATCH_DIR, "ext4", MS_NOATIME, "barrier=0,noinit_itable");
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st, (void)kind, (void)where;
	return remove(path) < 0 ? errno : 0;
}

int clear_scratch(bool release)
{
	int err = nftw(RUN_DIR, remove_entry, MAX_OPEN, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);

	if (err)
		return err < 0 ? errno : err;
	return release && umount(SCRATCH_DIR) < 0 ? errno : 0;
}

int mount_image(const char *disk)
{
	return mounted(disk, IMAGE_DIR, "squashfs", MS_RDONLY | MS_NOATIME, NULL);
}

/* The merged root directory shows the upper one's owner and mode, so these must be the image's. */
static int make_layer(void)
{
	struct stat image;

	if (stat(IMAGE_DIR, &image) < 0)
		return errno;
	if (mkdir(RUN_DIR, 0700) < 0 || mkdir(UPPER_DIR, 0755) < 0 || mkdir(WORK_DIR, 0755) < 0)
		return errno;
	if (chown(UPPER_DIR, image.st_uid, image.st_gid) < 0 || chmod(UPPER_DIR, image.st_mode & 07777) < 0)
		return errno;
	return 0;
}

static int mount_inside(void)
{
	static const struct {
		const char *type, *path, *options;
		unsigned long flags;
	} mounts[] = {
		{ "proc", ROOT_DIR "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "sysfs", ROOT_DIR "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "cgroup2", ROOT_DIR "/sys/fs/cgroup", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "devtmpfs", ROOT_DIR "/dev", "mode=0755", MS_NOSUID },
		{ "devpts", ROOT_DIR "/dev/pts", "newinstance,ptmxmode=0666,mode=0620,gid=5", MS_NOSUID | MS_NOEXEC },
		{ "tmpfs", ROOT_DIR "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV },
		{ "mqueue", ROOT_DIR "/dev/mqueue", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
	};
	static const char *const links[][2] = {
		{ "/proc/self/fd", ROOT_DIR "/dev/fd" },
		{ "/proc/self/fd/0", ROOT_DIR "/dev/stdin" },
		{ "/proc/self/fd/1", ROOT_DIR "/dev/stdout" },
		{ "/proc/self/fd/2", ROOT_DIR "/dev/stderr" },
	};

	for (size_t i = 0; i < sizeof mounts / sizeof *mounts; i++) {
		int err = mounted(mounts[i].type, mounts[i].path, mounts[i].type, mounts[i].flags, mounts[i].options);

		if (err)
			return err;
	}
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
			return errno;
	return 0;
}

int mount_overlay(void)
{
	/* `volatile`: what the workload syncs need not survive the VM, so syncing costs nothing. */
	static const char options[] = "lowerdir=" IMAGE_DIR ",upperdir=" UPPER_DIR ",workdir=" WORK_DIR ",volatile";
	int err = make_layer();

	if (!err)
		err = mounted("overlay", ROOT_DIR, "overlay", MS_NOATIME, options);
	return err ? err : mount_inside();
}

int enter_root(void)
{
	/* The initramfs cannot be pivoted away from; its place is taken instead, as switch_root does. */
	if (chdir(ROOT_DIR) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return errno;
	return 0;
}

static int put_file(const char *path, const char *text)
{
	size_t len = strlen(text);
	struct stat st;
	ssize_t n;
	int fd;

	/* Images like to make these links into a system that is not there. */
	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno;
	n = write(fd, text, len);
	close(fd);
	return n == (ssize_t)len ? 0 : EIO;
}

int write_network_files(const char *hostname, const char **file)
{
	char hosts[512], name[256];
	const char *const files[][2] = {
		{ "/etc/hosts", hosts },
		{ "/etc/hostname", name },
		{ "/etc/resolv.conf", "nameserver " GUEST_RESOLVER "\n" },
	};

	if (mkdir("/etc", 0755) < 0 && errno != EEXIST) {
		*file = "/etc";
		return errno;
	}
	snprintf(name, sizeof name, "%s\n", hostname);
	snprintf(hosts, sizeof hosts,
		 "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" GUEST_ADDRESS "\t%s\n", hostname);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		int err = put_file(files[i][0], files[i][1]);

		*file = files[i][0];
		if (err)
			return err;
	}
	return 0;
}

int make_directories(const char *path)
{
	char partial[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof partial)
		return ENAMETOOLONG;
	memcpy(partial, path, len + 1);
	for (char *p = partial + 1;; p++) {
		char was = *p;

		if (was != '/' && was != '\0')
			continue;
		*p = '\0';
		if (mkdir(partial, 0755) < 0 && errno != EEXIST)
			return errno;
		*p = was;
		if (was == '\0')
			return 0;
	}
}
