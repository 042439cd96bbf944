#include "channel/protocol.h"
#include "channel/tlv.h"
#include "check.h"
#include "program/request.h"

static void put_text(struct tlv_writer *w, uint16_t tag, const char *text)
{
	tlv_put(w, tag, text, strlen(text));
}

/* A sound request; `args` and `vars` say how many of each. */
static struct tlv_writer sound(uint8_t *buf, size_t cap, int args, int vars)
{
	struct tlv_writer w = { .buf = buf, .cap = cap };

	tlv_put_u64(&w, TAG_HOST_TIME, 1234567);
	tlv_put(&w, TAG_ENTROPY, "0123456789", 10);
	put_text(&w, TAG_ROOT_SERIAL, "root");
	put_text(&w, TAG_SCRATCH_SERIAL, "scratch");
	put_text(&w, TAG_VOLUME, "/data");
	put_text(&w, TAG_USER, "");
	put_text(&w, TAG_WORKING_DIR, "/srv");
	put_text(&w, TAG_HOSTNAME, "host");
	for (int i = 0; i < args; i++)
		put_text(&w, TAG_ARG, i == 0 ? "prog" : "");
	for (int i = 0; i < vars; i++)
		put_text(&w, TAG_ENV, i % 2 ? "A=" : "LONG=x=y");
	CHECK(!w.full);
	return w;
}

/* Parses a copy of exactly the body's size; says why not, or NULL. */
static const char *parse(struct run_request *r, const uint8_t *body, size_t n)
{
	uint8_t *exact = malloc(n ? n : 1);
	const char *why;
	bool ok;

	if (n > 0)
		memcpy(exact, body, n);
	*r = (struct run_request){ 0 };
	ok = run_request_parse(r, exact, n, &why);
	CHECK(ok == (why == NULL));
	free(exact); /* the request must not point into the message */
	return why;
}

static void a_sound_request_is_taken(void)
{
	uint8_t buf[4096];
	struct tlv_writer w = sound(buf, sizeof buf, 2, 3);
	struct run_request r;

	CHECK(parse(&r, w.buf, w.len) == NULL);
	CHECK(r.host_time_us == 1234567 && r.entropy_len == 10 && memcmp(r.entropy, "0123456789", 10) == 0);
	CHECK(strcmp(r.root_serial, "root") == 0 && strcmp(r.user, "") == 0 && strcmp(r.working_dir, "/srv") == 0);
	CHECK(r.argc == 2 && strcmp(r.argv[0], "prog") == 0 && strcmp(r.argv[1], "") == 0 && !r.argv[2]);
	CHECK(r.volumec == 1 && strcmp(r.volumes[0], "/data") == 0 && !r.volumes[1]);
	CHECK(r.envc == 3 && !r.envp[3 + SPARE_ENV]);
	CHECK(strcmp(env_get(r.envp, "LONG"), "x=y") == 0 && strcmp(env_get(r.envp, "A"), "") == 0);
	CHECK(!env_get(r.envp, "LON") && !env_get(r.envp, "LONGER"));
	run_request_free(&r);
}

static void put_file(struct tlv_writer *w, const char *path, const char *content)
{
	uint8_t value[256] = { 0xed, 0x01 }; /* 0755 */
	size_t n = strlen(path), len = strlen(content);

	put_le(value + 4, n, 4);
	memcpy(value + 8, path, n);
	memcpy(value + 8 + n, content, len);
	tlv_put(w, TAG_FILE, value, 8 + n + len);
}

static void files_resolver_and_terminal_are_taken(void)
{
	uint8_t buf[4096];
	struct tlv_writer w = sound(buf, sizeof buf, 1, 0);
	struct run_request r;

	put_file(&w, "/etc/app", "content");
	put_file(&w, "/empty", "");
	put_text(&w, TAG_RESOLVER, "nameserver 9.9.9.9\n");
	tlv_put_u8(&w, TAG_TTY, 1);
	CHECK(parse(&r, w.buf, w.len) == NULL);
	CHECK(r.filec == 2 && r.tty && strcmp(r.resolver, "nameserver 9.9.9.9\n") == 0);
	CHECK(strcmp(r.files[0].path, "/etc/app") == 0 && r.files[0].mode == 0755 && r.files[0].len == 7);
	CHECK(memcmp(r.files[0].content, "content", 7) == 0 && r.files[1].len == 0);
	run_request_free(&r);
}

static void a_command_has_what_it_does_not_name_from_the_workload(void)
{
	uint8_t buf[4096], exec[1024];
	struct tlv_writer w = sound(buf, sizeof buf, 1, 2), e = { .buf = exec, .cap = sizeof exec };
	struct run_request workload, r = { 0 };
	const char *why;

	CHECK(parse(&workload, w.buf, w.len) == NULL);
	put_text(&e, TAG_ARG, "ls");
	put_text(&e, TAG_ENV, "A=mine");
	CHECK(exec_request_parse(&r, &workload, e.buf, e.len, &why));
	CHECK(r.argc == 1 && strcmp(r.working_dir, "/srv") == 0 && strcmp(r.user, "") == 0 && strcmp(r.hostname, "host") == 0);
	CHECK(r.envc == 2 && strcmp(env_get(r.envp, "A"), "mine") == 0 && strcmp(env_get(r.envp, "LONG"), "x=y") == 0);
	env_default(&r, "A", "default");
	env_default(&r, "B", "default");
	CHECK(r.envc == 3 && strcmp(env_get(r.envp, "A"), "mine") == 0 && strcmp(env_get(r.envp, "B"), "default") == 0);
	free(r.envp[2]);
	run_request_free(&r);
	e.len = 0;
	put_text(&e, TAG_WORKING_DIR, "/x");
	CHECK(!exec_request_parse(&r, &workload, e.buf, e.len, &why) && strcmp(why, "no program to run") == 0);
	run_request_free(&r);
	run_request_free(&workload);
}

static void a_request_cut_short_is_refused(void)
{
	uint8_t buf[4096];
	struct tlv_writer w = sound(buf, sizeof buf, 1, 0);

	for (size_t n = 0; n < w.len; n++) {
		struct run_request r;

		CHECK(parse(&r, w.buf, n) != NULL);
		run_request_free(&r);
	}
}

static void refused(struct tlv_writer *w, const char *expected)
{
	struct run_request r;
	const char *why = parse(&r, w->buf, w->len);

	CHECK(why && strcmp(why, expected) == 0);
	run_request_free(&r);
}

/* "/d/d...", with so many folders. */
static const char *deep(int folders)
{
	static char path[512];

	for (int i = 0; i < folders; i++)
		memcpy(path + 2 * i, "/d", 3);
	return path;
}

static void paths_of_many_folders_are_refused(void)
{
	static uint8_t buf[4096];
	struct tlv_writer w = sound(buf, sizeof buf, 1, 0);
	struct run_request r;

	put_text(&w, TAG_VOLUME, deep(DEPTH_MAX));
	put_text(&w, TAG_WORKING_DIR, deep(DEPTH_MAX));
	put_file(&w, deep(DEPTH_MAX), "");
	CHECK(parse(&r, w.buf, w.len) == NULL);
	run_request_free(&r);
	w = sound(buf, sizeof buf, 1, 0);
	put_text(&w, TAG_VOLUME, deep(DEPTH_MAX + 1));
	refused(&w, "the path of a volume or of the working directory has too many folders");
	w = sound(buf, sizeof buf, 1, 0);
	put_text(&w, TAG_WORKING_DIR, deep(DEPTH_MAX + 1));
	refused(&w, "the path of a volume or of the working directory has too many folders");
	w = sound(buf, sizeof buf, 1, 0);
	put_file(&w, deep(DEPTH_MAX + 1), "");
	refused(&w, "the path of a file has too many folders");
}

static void limits_are_kept(void)
{
	static uint8_t buf[256 * 1024];
	struct tlv_writer w = sound(buf, sizeof buf, 0, 0);
	static uint8_t seed[ENTROPY_MAX + 1];

	refused(&w, "no program to run");
	w = sound(buf, sizeof buf, ARGS_MAX + 1, 0);
	refused(&w, "too many arguments");
	w = sound(buf, sizeof buf, 1, ENV_MAX + 1);
	refused(&w, "too many variables");
	w = sound(buf, sizeof buf, 1, 0);
	for (int i = 0; i < VOLUMES_MAX; i++)
		put_text(&w, TAG_VOLUME, "v");
	refused(&w, "too many volumes");
	w = sound(buf, sizeof buf, 1, 0);
	tlv_put(&w, TAG_ARG, "a\0b", 3);
	refused(&w, "a text holds a zero byte");
	w = sound(buf, sizeof buf, 1, 0);
	put_text(&w, TAG_ENV, "=x");
	refused(&w, "a variable is not NAME=value");
	w = sound(buf, sizeof buf, 1, 0);
	put_text(&w, TAG_ENV, "NAME");
	refused(&w, "a variable is not NAME=value");
	w = sound(buf, sizeof buf, 1, 0);
	put_text(&w, TAG_WORKING_DIR, "srv");
	refused(&w, "the working directory is not absolute");
	w = sound(buf, sizeof buf, 1, 0);
	put_file(&w, "relative", "");
	refused(&w, "a file has no absolute path");
	w = sound(buf, sizeof buf, 1, 0);
	tlv_put(&w, TAG_FILE, "\0\0\0\0\xff\xff\xff\xff/", 9);
	refused(&w, "a file has no absolute path");
	w = sound(buf, sizeof buf, 1, 0);
	tlv_put(&w, TAG_ENTROPY, seed, sizeof seed);
	refused(&w, "too much entropy");
	w = sound(buf, sizeof buf, 1, 0);
	tlv_put(&w, TAG_HOST_TIME, "123", 3);
	refused(&w, "host time is not a number");
}

static void a_damaged_request_does_no_harm(void)
{
	uint8_t buf[4096], bent[4096];
	struct tlv_writer w = sound(buf, sizeof buf, 3, 3);
	size_t taken = 0;

	for (int round = 0; round < 20000; round++) {
		struct run_request r;

		memcpy(bent, buf, w.len);
		for (unsigned hits = 1 + dice() % 4; hits > 0; hits--)
			bent[dice() % w.len] = (uint8_t)dice();
		taken += parse(&r, bent, 1 + dice() % w.len) == NULL;
		run_request_free(&r);
	}
	CHECK(taken < 20000);
}

void test_requests(void)
{
	a_sound_request_is_taken();
	files_resolver_and_terminal_are_taken();
	a_command_has_what_it_does_not_name_from_the_workload();
	a_request_cut_short_is_refused();
	limits_are_kept();
	paths_of_many_folders_are_refused();
	a_damaged_request_does_no_harm();
}

void test_fields(void)
{
	uint8_t buf[40];
	struct tlv_writer w = { .buf = buf, .cap = sizeof buf };
	struct tlv_reader r;
	struct tlv field;
	uint64_t value;

	tlv_put_u8(&w, 1, 200);
	tlv_put_u32(&w, 2, 0x89abcdef);
	tlv_put_u64(&w, 3, 0x0123456789abcdefull);
	CHECK(!w.full && w.len == 7 + 10 + 14);
	tlv_put_u64(&w, 4, 1);
	CHECK(w.full && w.len == 7 + 10 + 14);
	tlv_put_u8(&w, 5, 1); /* would fit, but after a gap the body is worthless */
	CHECK(w.len == 7 + 10 + 14);

	r = (struct tlv_reader){ .at = buf, .left = w.len };
	CHECK(tlv_next(&r, &field) && field.tag == 1 && tlv_number(&field, &value) && value == 200);
	CHECK(tlv_next(&r, &field) && field.tag == 2 && tlv_number(&field, &value) && value == 0x89abcdef);
	CHECK(tlv_next(&r, &field) && field.tag == 3 && tlv_number(&field, &value) && value == 0x0123456789abcdefull);
	CHECK(!tlv_next(&r, &field) && !r.broken);

	put_le(buf + 2, UINT32_MAX, 4); /* a length that reaches around memory */
	r = (struct tlv_reader){ .at = buf, .left = w.len };
	CHECK(!tlv_next(&r, &field) && r.broken && !tlv_next(&r, &field));
}
