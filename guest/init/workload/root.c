#include "workload/root.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/api.h"
#include "system/net.h"

#define IMAGE_DIR "/image"
#define ROOT_DIR "/root"
#define STAGE_DIR "/stage"
#define RUN_DIR SCRATCH_DIR "/run"
#define UPPER_DIR RUN_DIR "/upper"
#define WORK_DIR RUN_DIR "/work"
#define UPPER_ETC UPPER_DIR "/etc"
#define UPPER_FLY UPPER_DIR "/.fly"

enum { MAX_OPEN = 16 };

static const char RESOLVER[] = "nameserver " GUEST_RESOLVER "\n";

static int mount_at(const char *source, const char *target, const char *type, unsigned long flags, const char *options)
{
	if (mkdir(target, 0755) < 0 && errno != EEXIST)
		return errno;
	return mount(source, target, type, flags, options) < 0 ? errno : 0;
}

int mount_scratch(const char *disk)
{
	return mount_at(disk, SCRATCH_DIR, "ext4", MS_NOATIME, "barrier=0,noinit_itable,noauto_da_alloc");
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st, (void)kind, (void)where;
	return remove(path) < 0 ? errno : 0;
}

static int remove_tree(const char *dir)
{
	int err = nftw(dir, remove_entry, MAX_OPEN, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);

	return err < 0 ? errno : err;
}

int clear_scratch(void)
{
	return remove_tree(RUN_DIR);
}

int mount_image(const char *disk)
{
	return mount_at(disk, IMAGE_DIR, "squashfs", MS_RDONLY | MS_NOATIME, NULL);
}

static int make_directory(const char *path, mode_t mode)
{
	return mkdir(path, mode) < 0 && errno != EEXIST ? errno : 0;
}

static int write_new(const char *path, const char *text)
{
	size_t len = strlen(text);
	struct stat st;
	ssize_t n;
	int fd;

	/* Many images have links here to files that do not exist. To open a pipe could take for ever. */
	if (lstat(path, &st) == 0 && !S_ISREG(st.st_mode))
		unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return errno;
	n = write(fd, text, len);
	close(fd);
	return n == (ssize_t)len ? 0 : EIO;
}

static int write_names(const char *etc, const char *hostname, const char **file)
{
	char path[PATH_MAX], hosts[512], name[256];
	/* The first part of a name with a domain is a name too. */
	int err, dot = strchr(hostname, '.') ? (int)strcspn(hostname, ".") : 0;

	snprintf(name, sizeof name, "%s\n", hostname);
	snprintf(hosts, sizeof hosts, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" GUEST_ADDRESS "\t%s%s%.*s\n",
		 hostname, dot > 0 ? " " : "", dot, hostname);
	*file = "/etc/hosts";
	snprintf(path, sizeof path, "%s/hosts", etc);
	err = write_new(path, hosts);
	if (err)
		return err;
	*file = "/etc/hostname";
	snprintf(path, sizeof path, "%s/hostname", etc);
	return write_new(path, name);
}

int stage_kernel_filesystems(void)
{
	static const struct {
		const char *type, *path, *options;
		unsigned long flags;
	} mounts[] = {
		{ "proc", STAGE_DIR "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "sysfs", STAGE_DIR "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "cgroup2", STAGE_DIR "/sys/fs/cgroup", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "devtmpfs", STAGE_DIR "/dev", "mode=0755", MS_NOSUID },
		{ "devpts", STAGE_DIR "/dev/pts", "newinstance,ptmxmode=0666,mode=0620,gid=5", MS_NOSUID | MS_NOEXEC },
		{ "tmpfs", STAGE_DIR "/dev/shm", "mode=1777", MS_NOSUID | MS_NODEV },
		{ "mqueue", STAGE_DIR "/dev/mqueue", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
	};
	static const char *const links[][2] = {
		{ "/proc/self/fd", STAGE_DIR "/dev/fd" },
		{ "/proc/self/fd/0", STAGE_DIR "/dev/stdin" },
		{ "/proc/self/fd/1", STAGE_DIR "/dev/stdout" },
		{ "/proc/self/fd/2", STAGE_DIR "/dev/stderr" },
	};
	int err = make_directory(STAGE_DIR, 0755);

	for (size_t i = 0; !err && i < sizeof mounts / sizeof *mounts; i++)
		err = mount_at(mounts[i].type, mounts[i].path, mounts[i].type, mounts[i].flags, mounts[i].options);
	for (size_t i = 0; !err && i < sizeof links / sizeof *links; i++)
		err = symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST ? errno : 0;
	return err;
}

int make_upper_layer(void)
{
	static const char *const dirs[] = { UPPER_DIR, WORK_DIR, UPPER_DIR "/proc", UPPER_DIR "/sys", UPPER_DIR "/dev", UPPER_ETC, UPPER_FLY };
	int err = make_directory(RUN_DIR, 0700);

	for (size_t i = 0; !err && i < sizeof dirs / sizeof *dirs; i++)
		err = make_directory(dirs[i], 0755);
	/* Whatever the image has there is hidden by the upper layer. */
	if (!err)
		err = symlink(API_SOCKET, UPPER_FLY "/api") < 0 && errno != EEXIST ? errno : 0;
	if (!err)
		err = write_new(UPPER_ETC "/resolv.conf", RESOLVER);
	/* Written once the hostname is known. Making a file takes longer than writing it. */
	if (!err)
		err = write_new(UPPER_ETC "/hosts", "");
	return err ? err : write_new(UPPER_ETC "/hostname", "");
}

/* Gives a folder of the upper layer, whose attributes the overlay shows, those of the image's. */
static int copy_attributes(const char *upper, const struct stat *image)
{
	static const mode_t mode = 0755;

	if (image->st_uid == 0 && image->st_gid == 0 && (image->st_mode & 07777) == mode)
		return 0;
	return chown(upper, image->st_uid, image->st_gid) < 0 || chmod(upper, image->st_mode & 07777) < 0 ? errno : 0;
}

int adapt_upper_layer(const char *hostname, const char *resolver, bool *files_written)
{
	const char *ignored;
	struct stat image;
	int err;

	*files_written = true;
	if (stat(IMAGE_DIR, &image) < 0)
		return errno;
	err = copy_attributes(UPPER_DIR, &image);
	if (err)
		return err;
	if (lstat(IMAGE_DIR "/etc", &image) == 0) {
		/* The layer must not hide a link. */
		*files_written = S_ISDIR(image.st_mode);
		err = *files_written ? copy_attributes(UPPER_ETC, &image) : remove_tree(UPPER_ETC);
	}
	if (!err && *files_written && resolver)
		err = write_new(UPPER_ETC "/resolv.conf", resolver);
	return err || !*files_written ? err : write_names(UPPER_ETC, hostname, &ignored);
}

int mount_overlay(void)
{
	/* `volatile`: syncing does nothing, as no data outlives the VM. */
	static const char options[] = "lowerdir=" IMAGE_DIR ",upperdir=" UPPER_DIR ",workdir=" WORK_DIR ",volatile";
	static const char *const staged[][2] = {
		{ STAGE_DIR "/proc", ROOT_DIR "/proc" },
		{ STAGE_DIR "/sys", ROOT_DIR "/sys" },
		{ STAGE_DIR "/dev", ROOT_DIR "/dev" },
	};
	int err = mount_at("overlay", ROOT_DIR, "overlay", MS_NOATIME, options);

	for (size_t i = 0; !err && i < sizeof staged / sizeof *staged; i++)
		err = mount(staged[i][0], staged[i][1], NULL, MS_MOVE, NULL) < 0 ? errno : 0;
	return err;
}

int enter_root(void)
{
	/* As switch_root does: pivot_root does not work on an initramfs. */
	if (chdir(ROOT_DIR) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return errno;
	return 0;
}

int write_network_files(const char *hostname, const char *resolver, const char **file)
{
	int err = write_names("/etc", hostname, file);

	if (err)
		return err;
	*file = "/etc/resolv.conf";
	return write_new(*file, resolver ? resolver : RESOLVER);
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
