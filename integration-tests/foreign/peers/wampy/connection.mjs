// What the callee and the caller share: a session made from their arguments.
import { args, require } from "../arguments.mjs";

const { Wampy } = require("wampy");

const serializers = {
  json: () => new (require("wampy/JsonSerializer.js").JsonSerializer)(),
  msgpack: () => new (require("wampy/MsgpackSerializer.js").MsgpackSerializer)(),
  cbor: () => new (require("wampy/CborSerializer.js").CborSerializer)(),
};

export function session(options) {
  return new Wampy(args.url, {
    realm: args.realm,
    ws: require("ws"),
    serializer: serializers[args.serializer](),
    ...options,
  });
}

export async function connect(options) {
  const connected = session(options);
  await connected.connect();
  return connected;
}
