// A server that hints and holds its answer until the client below has seen the hint. Prints its port, reads a line with a URL and
// a token, asks that, and prints what the client saw.
import http from "node:http";
import readline from "node:readline";

let heard;
const hint = new Promise((resolve) => { heard = resolve; });

const server = http.createServer((request, response) => {
  response.writeEarlyHints({ link: "</a.css>; rel=preload; as=style", "x-trace": "t1" });
  hint.then(() => response.end("page"));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));

readline.createInterface({ input: process.stdin }).once("line", (line) => {
  const [url, token] = line.split(" ");
  const request = http.get(url, { headers: { authorization: `Bearer ${token}` } });
  const hints = [];
  request.on("information", ({ statusCode, headers }) => {
    hints.push({ statusCode, headers });
    heard();
  });
  request.on("response", async (response) => {
    let body = "";
    for await (const piece of response) body += piece;
    console.log(JSON.stringify({ hints, status: response.statusCode, body }));
    process.exit(0);
  });
});
