// Autobahn|JS caller: calls with 3, prints each progressive result and the result (or the error).
import { args } from "../arguments.mjs";
import { connect } from "./connection.mjs";

const connection = connect({ max_retries: 0 });
connection.onclose = () => process.exit();

connection.onopen = async (session) => {
  const call = session.call(args.procedure, [3], {}, { receive_progress: true });
  await call.then(
    (n) => {
      console.log(`Final: ${n}`);
      process.exitCode = 0;
    },
    ({ error }) => console.log(`Error: ${error}`),
    (i) => {
      console.log(`Progress: ${i}`);
      if (args.cancel) call.cancel({ mode: args.cancel });
    },
  );
  connection.close();
};

connection.open();
