/* The program of end-to-end tests in guests: does what its first argument names. */
#include <arpa/inet.h>
#include <immintrin.h>
#include <pthread.h>
#include <sched.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void on_signal(int number)
{
	printf("got signal %d\n", number);
	fflush(stdout);
	if (number == SIGTERM)
		exit(42);
}

/* Asks the API inside the machine, with a body of `n` bytes. Prints the status line, and the bytes and first bytes of the answer's body. */
static int ask(const char *method, const char *path, size_t n)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/.fly/api" };
	static char answer[512 * 1024];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t len = 0;
	char *body;
	ssize_t got;

	if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		perror("connect");
		return 1;
	}
	dprintf(fd, "%s %s HTTP/1.1\r\nHost: flaps\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", method, path, n);
	while (n-- > 0)
		if (write(fd, "b", 1) != 1)
			return 2;
	while (len < sizeof answer - 1 && (got = read(fd, answer + len, sizeof answer - 1 - len)) > 0)
		len += (size_t)got;
	body = strstr(answer, "\r\n\r\n");
	if (!body)
		return 3;
	body += 4;
	printf("%.*s\n%zu %.40s\n", (int)strcspn(answer, "\r"), answer, len - (size_t)(body - answer), body);
	return 0;
}

static int serve(int port, const char *address)
{
	static const char answer[] = "HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (address)
		inet_pton(AF_INET, address, &any.sin_addr);
	if (bind(fd, (struct sockaddr *)&any, sizeof any) < 0 || listen(fd, 16) < 0)
		return 1;
	printf("serving\n");
	fflush(stdout);
	for (;;) {
		char request[2048];
		int client = accept(fd, NULL, NULL);

		if (client >= 0 && read(client, request, sizeof request) > 0)
			(void)!write(client, answer, sizeof answer - 1);
		close(client);
	}
}

static int fetch(const char *address, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	char answer[4096];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ssize_t n;

	inet_pton(AF_INET, address, &to.sin_addr);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		perror("connect");
		return 1;
	}
	dprintf(fd, "GET / HTTP/1.0\r\n\r\n");
	while ((n = read(fd, answer, sizeof answer)) > 0)
		(void)!write(1, answer, (size_t)n);
	return 0;
}

static int count_zombies(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int zombies = 0;

	while ((entry = readdir(proc))) {
		char path[300], stat[300], *state;
		ssize_t n;
		int fd;

		snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
		fd = open(path, O_RDONLY);
		n = fd < 0 ? 0 : read(fd, stat, sizeof stat - 1);
		close(fd);
		stat[n > 0 ? n : 0] = '\0';
		state = strrchr(stat, ')');
		zombies += state && state[2] == 'Z';
	}
	closedir(proc);
	return zombies;
}

/* Ten orphans that end at once: only init can reap them. */
static int orphans(void)
{
	for (int i = 0; i < 10; i++)
		if (fork() == 0) {
			if (fork() == 0)
				usleep(1000);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	for (int tries = 0; tries < 500; tries++) {
		if (count_zombies() == 0) {
			printf("no zombies\n");
			return 0;
		}
		usleep(10000);
	}
	printf("zombies remain\n");
	return 1;
}

static int hog(void)
{
	for (;;) {
		char *p = malloc(1 << 20);

		if (p)
			memset(p, 1, 1 << 20);
	}
}

static int lines(long count)
{
	for (long i = 1; i <= count; i++)
		printf("line %ld\n", i);
	return 0;
}

/* A line every few milliseconds, for ever. */
static int tick(void)
{
	struct timespec pause = { .tv_nsec = 5000000 };

	for (long i = 1;; i++) {
		printf("tick %ld\n", i);
		fflush(stdout);
		nanosleep(&pause, NULL);
	}
}

static int clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	printf("%lld\n", (long long)t.tv_sec * 1000000 + t.tv_nsec / 1000);
	return 0;
}

static void *sleep_on(void *nothing)
{
	pause();
	return nothing;
}

static int threads(int count)
{
	char limit[32] = "";
	FILE *file = fopen("/sys/fs/cgroup/memory.max", "r");
	pthread_attr_t small;

	if (file && fgets(limit, sizeof limit, file))
		printf("limit %s", limit);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 16384);
	for (int i = 0; i < count; i++) {
		pthread_t thread;
		int err = pthread_create(&thread, &small, sleep_on, NULL);

		if (err) {
			printf("thread %d: %s\n", i, strerror(err));
			return 1;
		}
	}
	printf("%d threads\n", count);
	return 0;
}

/* Keeps a pattern in a register of AVX while the other process does so with its own. */
__attribute__((target("avx2,fma"))) static int keep_registers(int pattern)
{
	__m256i kept = _mm256_set1_epi32(pattern);
	__m256d product = _mm256_fmadd_pd(_mm256_set1_pd(pattern), _mm256_set1_pd(2), _mm256_set1_pd(1));
	int words[8];
	double numbers[4];

	for (int i = 0; i < 300; i++) {
		__asm__ volatile("" : "+x"(kept), "+x"(product));
		sched_yield();
	}
	_mm256_storeu_si256((void *)words, _mm256_add_epi32(kept, kept));
	_mm256_storeu_pd(numbers, product);
	return words[0] == 2 * pattern && words[7] == 2 * pattern && numbers[3] == 2.0 * pattern + 1;
}

static int vectors(void)
{
	int status, child = fork();

	if (child == 0)
		_exit(keep_registers(3) ? 0 : 1);
	printf("parent %d\n", keep_registers(5));
	waitpid(child, &status, 0);
	printf("child %d\n", WIFEXITED(status) && WEXITSTATUS(status) == 0);
	printf("v3 %d\n", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") &&
				   __builtin_cpu_supports("x86-64-v3"));
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "ask") == 0)
		return ask(argv[2], argv[3], argc > 4 ? (size_t)atoi(argv[4]) : 0);
	if (strcmp(what, "serve") == 0)
		return serve(atoi(argv[2]), argc > 3 ? argv[3] : NULL);
	if (strcmp(what, "fetch") == 0)
		return fetch(argv[2], atoi(argv[3]));
	if (strcmp(what, "orphans") == 0)
		return orphans();
	if (strcmp(what, "hog") == 0)
		return hog();
	if (strcmp(what, "lines") == 0)
		return lines(atol(argv[2]));
	if (strcmp(what, "tick") == 0)
		return tick();
	if (strcmp(what, "clock") == 0)
		return clock_now();
	if (strcmp(what, "threads") == 0)
		return threads(atoi(argv[2]));
	if (strcmp(what, "vectors") == 0)
		return vectors();
	if (strcmp(what, "abort") == 0)
		abort();
	if (strcmp(what, "signals") == 0) {
		signal(SIGUSR1, on_signal);
		signal(SIGTERM, on_signal);
		printf("ready\n");
		fflush(stdout);
		for (;;)
			pause();
	}
	if (strcmp(what, "exit-later") == 0) {
		printf("before\n");
		fflush(stdout);
		sleep((unsigned)atoi(argv[2]));
		printf("after\n");
		return 7;
	}
	if (strcmp(what, "leave-child") == 0) {
		/* A child that would outlive us and keeps our streams open. */
		if (fork() == 0)
			for (;;)
				pause();
		return 5;
	}
	if (strcmp(what, "bytes") == 0) {
		fputs("bad \xff\xfe utf\nno newline at the end", stdout);
		return 0;
	}
	if (strcmp(what, "long") == 0) {
		for (int i = 0; i < 40000; i++)
			putchar('x');
		printf("\nshort\n");
		return 0;
	}
	return 99;
}
