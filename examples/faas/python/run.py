#!/usr/bin/env python3
"""Runs a deployed function once, by REST alone: starts a stopped machine, else launches one. Usage: run.py NAME JSON"""
import json, os, sys, time, urllib.error, urllib.request  # noqa: E401

API, TOKEN = os.environ.get("WINDHOVER_REST", "http://127.0.0.1:7080"), os.environ["WINDHOVER_TOKEN"]

def call(method, url, body=None):
    request = urllib.request.Request(url, json.dumps(body or {}).encode() if method == "POST" else None, method=method)
    request.add_header("content-type", "application/json")
    if url.startswith(API): request.add_header("authorization", f"Bearer {TOKEN}")
    return json.load(urllib.request.urlopen(request, timeout=60))

def ladder(machines):
    for each in machines:
        yield lambda each=each: call("POST", f"{API}/v1/apps/faas/machines/{each['id']}/start") and each["id"]
    for region in dict.fromkeys(each["region"] for each in machines):
        config = machines[0]["config"] | {"auto_destroy": True}
        yield lambda region=region: call("POST", f"{API}/v1/apps/faas/machines", {"region": region, "config": config})["id"]
