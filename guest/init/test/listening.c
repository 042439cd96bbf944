#include <fcntl.h>
#include <unistd.h>

#include "agent/listening.h"
#include "channel/tlv.h"
#include "check.h"

#define HEADER "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
#define REST " 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1 0 100 0 0 10 0\n"
#define CONNECTION "   1: 0F02000A:1F90 0202000A:C350 01 00000000:00000000 00:00000000 00000000  1000        0 12346 1 0 20 4 30 10 -1\n"

static void addresses_that_the_host_reaches_are_told_from_others(void)
{
	static const struct {
		const char *address;
		uint16_t port;
		bool is_open;
	} sockets[] = {
		{ "00000000:0050", 80, true },
		{ "0F02000A:1F90", 8080, true },
		{ "0100007F:1F90", 8080, false },
		{ "0502000A:1F90", 8080, false },
		{ "00000000000000000000000000000000:FFFF", 65535, true },
		{ "0000000000000000FFFF000000000000:0050", 80, true },
		{ "0000000000000000FFFF00000F02000A:0050", 80, true },
		{ "0000000000000000FFFF00000100007F:0050", 80, false },
		{ "00000000000000000000000001000000:0050", 80, false },
	};
	struct tcp_socket socket;
	char line[300];

	for (size_t i = 0; i < sizeof sockets / sizeof *sockets; i++) {
		snprintf(line, sizeof line, "   0: %s" REST, sockets[i].address);
		CHECK(parse_tcp_socket(line, &socket));
		CHECK(socket.listens && socket.port == sockets[i].port && socket.is_open == sockets[i].is_open);
	}
	CHECK(parse_tcp_socket(CONNECTION, &socket) && !socket.listens);
	CHECK(!parse_tcp_socket(HEADER, &socket) && !parse_tcp_socket("", &socket) && !parse_tcp_socket("  0: 00:50 0 0A", &socket));
	for (size_t n = 0; n < strlen(CONNECTION); n++) {
		char *cut = strndup(CONNECTION, n);

		parse_tcp_socket(cut, &socket);
		free(cut);
	}
}

static char dir[] = "/tmp/windhover-listen-XXXXXX";

static void set_tables(const char *tcp, const char *tcp6)
{
	const char *const texts[] = { tcp, tcp6 }, *const names[] = { "tcp", "tcp6" };
	char path[64];

	for (int i = 0; i < 2; i++) {
		FILE *file;

		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		file = fopen(path, "w");
		CHECK(file && fputs(HEADER, file) >= 0 && fputs(texts[i], file) >= 0 && fclose(file) == 0);
	}
}

static void begin(struct listen_watch *w, uint64_t now_us)
{
	uint8_t body[64];
	struct tlv_writer out = { .buf = body, .cap = sizeof body };

	tlv_put_u32(&out, TAG_PORT, 80);
	tlv_put_u32(&out, TAG_PORT, 8080);
	tlv_put_u32(&out, TAG_PORT, 0);
	tlv_put_u32(&out, TAG_PORT, 65536);
	listen_watch_begin(w, body, out.len, now_us);
}

static void each_change_of_a_port_is_told(void)
{
	struct listen_watch w;
	uint64_t now = 5000000;

	set_tables("", "");
	begin(&w, now);
	CHECK(w.count == 2 && listen_watch_timeout(&w, now) == 0);
	listen_watch_update(&w, dir, now);
	CHECK(w.changed && w.states[0] == PORT_CLOSED && w.states[1] == PORT_CLOSED);
	w.changed = false;
	set_tables("   0: 0100007F:1F90" REST CONNECTION "   2: 00000000:0050" REST, "");
	listen_watch_update(&w, dir, now);
	CHECK(!w.changed);
	now += 10000;
	listen_watch_update(&w, dir, now);
	/* What follows a connection is not read. */
	CHECK(w.changed && w.states[0] == PORT_CLOSED && w.states[1] == PORT_LOCAL);
	set_tables("   0: 0100007F:1F90" REST, "   0: 00000000000000000000000000000000:1F90" REST "   1: 00000000000000000000000000000000:0050" REST);
	now += 10000;
	listen_watch_update(&w, dir, now);
	CHECK(w.states[0] == PORT_OPEN && w.states[1] == PORT_OPEN);
	w.changed = false;
	set_tables("", "");
	now += 999000;
	listen_watch_update(&w, dir, now);
	CHECK(!w.changed && listen_watch_timeout(&w, now) <= 2);
	now += 1000;
	listen_watch_update(&w, dir, now);
	CHECK(w.changed && w.states[0] == PORT_CLOSED);
}

static void a_port_that_stays_closed_is_looked_at_less_and_less_often(void)
{
	struct listen_watch w = { .count = 0 };
	uint64_t now = 1000000;

	CHECK(listen_watch_timeout(&w, now) == -1);
	set_tables("", "");
	begin(&w, now);
	listen_watch_update(&w, dir, now);
	CHECK(listen_watch_timeout(&w, now) == 11);
	now += 2000000;
	listen_watch_update(&w, dir, now);
	CHECK(listen_watch_timeout(&w, now) == 51);
	now += 600000000ull;
	listen_watch_update(&w, dir, now);
	CHECK(listen_watch_timeout(&w, now) == 1001);
}

void test_listening(void)
{
	char path[64];

	addresses_that_the_host_reaches_are_told_from_others();
	CHECK(mkdtemp(dir));
	each_change_of_a_port_is_told();
	a_port_that_stays_closed_is_looked_at_less_and_less_often();
	snprintf(path, sizeof path, "%s/tcp", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/tcp6", dir);
	unlink(path);
	rmdir(dir);
}
