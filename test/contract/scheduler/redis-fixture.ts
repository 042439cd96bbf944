import { expect } from "vitest";
import { Redis } from "../../../src/lib/stores/redis.ts";
import { startRedis, type TestRedis } from "../../support/servers/redis.ts";
import { eventually, quiet, startScheduler, TestHost, type TestScheduler } from "./fixture.ts";

const UNAVAILABLE = { code: "UNAVAILABLE", reason: "REDIS_UNAVAILABLE" };

/** A scheduler with a Redis of its own, and two hosts attached to it. */
export class RedisWorld {
  readonly redis: TestRedis;
  /** Another connection to the same Redis. */
  readonly admin: Redis;
  scheduler: TestScheduler;
  hosts: TestHost[] = [];

  private constructor(redis: TestRedis, admin: Redis, scheduler: TestScheduler) {
    this.redis = redis;
    this.admin = admin;
    this.scheduler = scheduler;
  }

  static async start(settings: Parameters<typeof startScheduler>[1] = {}): Promise<RedisWorld> {
    const redis = await startRedis();
    const admin = new Redis(`unix:${redis.url}`, { log: quiet });
    await admin.ready(15_000);
    const world = new RedisWorld(redis, admin, await startScheduler(redis.url, settings));
    await world.#attach();
    return world;
  }

  /** Replaces the scheduler by one with other settings. */
  async restart(settings: Parameters<typeof startScheduler>[1]): Promise<void> {
    await this.#stop();
    this.scheduler = await startScheduler(this.redis.url, settings);
    await this.#attach();
  }

  /** How many reservations each host holds capacity for. */
  held(): number[] {
    return this.hosts.map((host) => host.holds.size);
  }

  /** What Redis has. */
  async keys(): Promise<string[]> {
    return (await this.admin.run("KEYS", (client) => client.keys("*"))).sort();
  }

  /** Empties Redis. */
  async flush(): Promise<void> {
    await this.admin.run("FLUSH", (client) => client.flushall().then(() => client.script("FLUSH")));
  }

  /** Makes a reservation. */
  async reserved() {
    const { reservation } = await this.scheduler.reserve();
    if (!reservation?.expireTime) throw new Error("the answer has no reservation");
    const best = reservation.offers[0]?.hostNumber ?? 0;
    return { id: reservation.id, expiresAt: reservation.expireTime.getTime(), best };
  }

  /** Makes a reservation and returns the number of its offers. */
  async offers(): Promise<number | undefined> {
    return (await this.scheduler.reserve()).reservation?.offers.length;
  }

  async close(): Promise<void> {
    await this.#stop();
    await this.admin.close();
    await this.redis.close();
  }

  async #stop(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.close()));
    await this.scheduler.close();
  }

  async #attach(): Promise<void> {
    await this.scheduler.ready();
    this.hosts = [1, 2].map((number) => new TestHost(number, [this.scheduler.address]));
    await eventually(() => this.hosts.every((host) => host.attached())).toBe(true);
  }
}

/** Milliseconds until `call` fails because Redis is away. */
export async function refusedAfter(call: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await expect(call()).rejects.toMatchObject(UNAVAILABLE);
  return performance.now() - started;
}
