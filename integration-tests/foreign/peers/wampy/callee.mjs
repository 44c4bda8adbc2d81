// wampy.js callee: answers n with progress 0..n-1, each followed by a nod (a line of stdin), then n.
import { args, readNods } from "../arguments.mjs";
import { connect } from "./connection.mjs";

const session = await connect({ autoReconnect: false, onClose: () => process.exit() });

const nod = readNods(() => session.disconnect());

async function longop({ argsList: [n], result_handler: reply }) {
  for (let i = 0; i < n; i++) {
    reply({ argsList: [i], options: { progress: true } });
    await nod();
  }
  return { argsList: [n] };
}

await session.register(args.procedure, longop);
console.log("Registered");
