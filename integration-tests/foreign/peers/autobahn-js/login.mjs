// Autobahn|JS joins with one authentication method, and prints its identity or the reason why it may not join.
import { args, require } from "../arguments.mjs";
import { connect } from "./connection.mjs";

const { auth_cra, auth_cryptosign, nacl } = require("autobahn");

const { method, authid, secret } = args;
const key = method === "cryptosign" && nacl.sign.keyPair.fromSeed(Buffer.from(secret, "hex"));

function onchallenge(_session, _method, extra) {
  switch (method) {
    case "ticket":
      return secret;
    case "wampcra": {
      const { salt, iterations, keylen, challenge } = extra;
      return auth_cra.sign(salt ? auth_cra.derive_key(secret, salt, iterations, keylen) : secret, challenge);
    }
    default:
      return auth_cryptosign.sign_challenge(key, extra);
  }
}

const authextra = key ? { pubkey: auth_cryptosign.public_key(key), challenge: null, channel_binding: null } : undefined;
const connection = connect({ max_retries: 0, authmethods: [method], authid, authextra, onchallenge });
connection.onopen = (session, details) => {
  console.log(`Joined: ${details.authid} ${details.authrole} ${details.authmethod}`);
  connection.close();
};
connection.onclose = (_reason, details) => {
  if (details.reason?.startsWith("wamp.error.")) {
    console.log(`Refused: ${details.reason}`);
  }
  process.exitCode = 0;
  return true;
};
connection.open();
