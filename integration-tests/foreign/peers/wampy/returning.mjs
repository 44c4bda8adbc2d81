// wampy.js that connects again: prints a line each time it has joined.
import { connect } from "./connection.mjs";

const joined = () => console.log("Joined");
// It stops after the first attempt without this.
const onError = () => {};
await connect({ autoReconnect: true, reconnectInterval: 200, maxRetries: 0, onReconnectSuccess: joined, onError });
joined();
