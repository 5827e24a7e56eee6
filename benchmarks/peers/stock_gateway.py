"""Flask before stock Nameko: a `ClusterRpcProxy` per request (``/users``) and one per thread (``/kept/users``)."""

from __future__ import annotations

import os
import threading

from flask import Flask, jsonify, request
from nameko.standalone.rpc import ClusterRpcProxy

application = Flask(__name__)
CONFIG = {"AMQP_URI": os.environ.get("AMQP_URI", "amqp://guest:guest@127.0.0.1:5672/")}
_kept = threading.local()


def kept():
    if not hasattr(_kept, "proxy"):
        _kept.cluster = ClusterRpcProxy(CONFIG, timeout=5)
        _kept.proxy = _kept.cluster.start()
    return _kept.proxy


@application.post("/users")
def create():
    with ClusterRpcProxy(CONFIG, timeout=5) as rpc:
        return jsonify(rpc.stock_svc.create_user(**request.json)), 201


@application.get("/users/<user_id>")
def get(user_id):
    with ClusterRpcProxy(CONFIG, timeout=5) as rpc:
        return jsonify(rpc.stock_svc.get_user(user_id))


@application.post("/kept/users")
def create_kept():
    return jsonify(kept().stock_svc.create_user(**request.json)), 201


@application.get("/kept/users/<user_id>")
def get_kept(user_id):
    return jsonify(kept().stock_svc.get_user(user_id))
