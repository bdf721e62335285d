// A server of HTTP/1.1 that hints and, where it is asked to, holds its answer until the client of HTTP/2 below has seen the hint.
// Prints its port, reads a line with a URL and a token, asks there, and prints what the client saw.
import http from "node:http";
import http2 from "node:http2";
import readline from "node:readline";

const heard = new Map();
const hintSeen = (number) => {
  if (!heard.has(number)) {
    let resolve;
    const promise = new Promise((done) => { resolve = done; });
    heard.set(number, { promise, resolve });
  }
  return heard.get(number);
};

const server = http.createServer(async (request, response) => {
  const number = request.headers["x-number"];
  response.writeEarlyHints({ link: `</${number}.css>; rel=preload`, "x-number": number });
  if (request.headers["x-hold"]) await hintSeen(number).promise;
  response.writeHead(200, { "x-number": number, [`x-only-${number}`]: "a value of its own" });
  response.end(number);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));

const ask = (session, token, number, hold) => new Promise((resolve, reject) => {
  const stream = session.request({
    ":path": "/c/page",
    authorization: `Bearer ${token}`,
    "x-number": number,
    ...(hold ? { "x-hold": "1" } : {}),
  });
  const seen = { number, hints: [], body: "" };
  stream.on("headers", (headers) => {
    seen.hints.push({ ...headers });
    hintSeen(number).resolve();
  });
  stream.on("response", (headers) => {
    seen.status = headers[":status"];
    seen.said = headers["x-number"];
  });
  stream.on("error", reject);
  stream.on("data", (piece) => { seen.body += piece; });
  stream.on("end", () => resolve(seen));
});

readline.createInterface({ input: process.stdin }).once("line", async (line) => {
  const [url, token] = line.split(" ");
  const rounds = async (session, prefix, count, hold) => {
    const seen = [];
    for (let round = 0; round < count; round += 1) {
      const asked = [];
      for (let i = 0; i < 20; i += 1) asked.push(ask(session, token, `${prefix}${round}-${i}`, hold));
      seen.push(...await Promise.all(asked));
    }
    session.destroy();
    return seen;
  };
  const usual = await rounds(http2.connect(url), "u", 3, true);
  const small = await rounds(http2.connect(url, { settings: { headerTableSize: 1024 } }), "s", 1, false);
  console.log(JSON.stringify({ usual, small }));
  process.exit(0);
});
