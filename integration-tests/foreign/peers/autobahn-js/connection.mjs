// What the callee and the caller share: a connection made from their arguments.
import { args, require } from "../arguments.mjs";

const { Connection, serializer } = require("autobahn");

const serializers = {
  json: serializer.JSONSerializer,
  msgpack: serializer.MsgpackSerializer,
  cbor: serializer.CBORSerializer,
};

function transport() {
  const { protocol, hostname, port } = new URL(args.url);
  if (protocol === "ws:" || protocol === "wss:") {
    return { type: "websocket", url: args.url, serializers: [new serializers[args.serializer]()] };
  }
  if (args.serializer !== "json") {
    throw new Error("Autobahn|JS speaks only JSON over RawSocket");
  }
  return { type: "rawsocket", host: hostname, port: Number(port) };
}

export function connect(retries) {
  return new Connection({ realm: args.realm, transports: [transport()], ...retries });
}
