// wampy.js joins with one authentication method, and prints its identity or the reason why it may not join.
import { args, require } from "../arguments.mjs";
import { session } from "./connection.mjs";

const { createHmac, pbkdf2Sync } = require("node:crypto");
const { sign } = require("wampy/cryptosign.js");

const { method, authid, secret } = args;

const answers = {
  ticket: () => secret,
  wampcra: (_method, { challenge, salt, iterations, keylen }) => {
    const key = salt ? pbkdf2Sync(secret, salt, iterations, keylen, "sha256").toString("base64") : secret;
    return createHmac("sha256", key).update(challenge).digest("base64");
  },
  cryptosign: (name, info) => sign(secret)(name, info),
};

const joining = session({
  authid,
  authmethods: [method],
  authextra: method === "cryptosign" ? { pubkey: args.pubkey } : {},
  onChallenge: answers[method],
  autoReconnect: false,
});
try {
  const details = await joining.connect();
  console.log(`Joined: ${details.authid} ${details.authrole} ${details.authmethod}`);
  await joining.disconnect();
} catch (error) {
  console.log(`Refused: ${error.errorUri ?? error}`);
}
process.exitCode = 0;
