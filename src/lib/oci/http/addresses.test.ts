import { expect, test } from "vitest";
import { isPublicAddress } from "./addresses.ts";

test.each([
  ["loopback", "127.0.0.1", "127.8.9.1", "::1"],
  ["unspecified", "0.0.0.0", "0.1.2.3", "::"],
  ["private", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12::1", "fec0::1"],
  ["link-local", "169.254.1.1", "fe80::1", "fe80::1%eth0"],
  ["shared by a carrier", "100.64.0.1", "100.127.255.255"],
  ["multicast or broadcast", "224.0.0.1", "239.1.2.3", "255.255.255.255", "ff02::1"],
  [
    "reserved",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "240.0.0.1",
    "2001:db8::1",
  ],
  ["of a cloud's metadata", "169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254"],
  ["mapped to IPv6", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::ffff:168.63.129.16"],
  ["compatible with IPv4, or translated", "::127.0.0.1", "::10.0.0.1", "::ffff:0:127.0.0.1"],
  ["behind NAT64", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808"],
  ["behind 6to4 or Teredo", "2002:7f00:1::1", "2002:a9fe:a9fe::", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
  ["no address", "", "localhost", "1.2.3", "1.2.3.4.5", "::g"],
])("an address that is %s is not public", (_, ...addresses) => {
  expect(addresses.filter(isPublicAddress)).toEqual([]);
});

test("other addresses are public, also in their IPv6 forms", () => {
  const addresses = [
    ...["1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.1", "192.169.0.1", "223.255.255.255"],
    ...["2606:4700::1111", "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"],
  ];

  expect(addresses.filter((address) => !isPublicAddress(address))).toEqual([]);
});
