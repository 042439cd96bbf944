#include "program/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Opens a folder; links in the path are followed as if `root` were the root. */
static int open_folder(int root, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, root, path[0] ? path : "/", &how, sizeof how);

	return fd < 0 ? -errno : fd;
}

/* Cuts `path` at its last slash; returns what follows. Slashes at the end do not count. */
static char *cut_name(char *path)
{
	size_t len = strlen(path);
	char *slash;

	while (len > 0 && path[len - 1] == '/')
		path[--len] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return NULL;
	*slash = '\0';
	return slash + 1;
}

static bool is_name(const char *name)
{
	return name && name[0] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Opens a folder, and makes it and its parents when they are missing. Changes `path`. */
static int make_folder(int root, char *path)
{
	int fd = open_folder(root, path), parent;
	char *name;

	if (fd != -ENOENT)
		return fd;
	name = cut_name(path);
	if (!is_name(name))
		return -EINVAL;
	parent = make_folder(root, path);
	if (parent < 0)
		return parent;
	if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST) {
		fd = -errno;
	} else {
		fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		fd = fd < 0 ? -errno : fd;
	}
	close(parent);
	return fd;
}

static int write_content(int folder, const char *name, const struct file_request *file)
{
	size_t done = 0;
	int fd;

	/* A file is replaced, as other names may link to it. */
	if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	while (done < file->len) {
		ssize_t n = write(fd, file->content + done, file->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int err = n < 0 ? errno : EIO;

			close(fd);
			return -err;
		}
		done += (size_t)n;
	}
	if (fchmod(fd, file->mode) < 0) {
		int err = errno;

		close(fd);
		return -err;
	}
	return fd;
}

int write_below(int root, const struct file_request *file)
{
	char path[PATH_MAX], *name;
	int folder, fd;

	if (strlen(file->path) >= sizeof path)
		return -ENAMETOOLONG;
	strcpy(path, file->path);
	name = cut_name(path);
	if (!is_name(name))
		return -EISDIR;
	folder = make_folder(root, path);
	if (folder < 0)
		return folder;
	fd = write_content(folder, name, file);
	close(folder);
	return fd;
}

bool write_files(const struct run_request *r, int *fds, struct failure *f)
{
	int root = r->filec > 0 ? open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	for (size_t i = 0; i < r->filec; i++) {
		fds[i] = write_below(root, &r->files[i]);
		if (fds[i] < 0)
			return set_failure(f, STEP_FILE, -fds[i], r->files[i].path);
	}
	if (root >= 0)
		close(root);
	return true;
}

bool own_files(const struct run_request *r, int *fds, const struct identity *who, struct failure *f)
{
	for (size_t i = 0; i < r->filec; i++) {
		/* A change of owner clears the bits that run a program as another user. */
		if ((who->uid != 0 || who->gid != 0) && (fchown(fds[i], who->uid, who->gid) < 0 || fchmod(fds[i], r->files[i].mode) < 0))
			return set_failure(f, STEP_FILE, errno, r->files[i].path);
		close(fds[i]);
	}
	return true;
}
