
"use strict";
// Reads openapi.json beside this page and draws it. All text goes in as text, never as markup.
const byId = (id) => document.getElementById(id);
const tokenField = byId("token");
let refreshToken = null;
// What other services send. It is written as JSON here, too, and sent as a form.
const FORM = "application/x-www-form-urlencoded";

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

// `code` between backticks, the rest as it is.
function prose(text) {
  const parts = String(text || "").split("`");
  return parts.map((part, at) => (at % 2 ? make("code", null, part) : part));
}

function resolve(spec, schema) {
  while (schema && schema.$ref) {
    schema = schema.$ref.slice(2).split("/").reduce((at, key) => at[key.replace(/~1/g, "/")], spec);
  }
  return schema || {};
}

function kindOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const types = [].concat(schema.type || "any");
  return types.map((type) => (type === "array" ? "list of " + kindOf(schema.items || {}) : schema.format || type)).join(" or ");
}

function fieldTable(spec, schema) {
  const whole = resolve(spec, schema);
  if (whole.type === "array") return fieldTable(spec, whole.items);
  const rows = Object.entries(whole.properties || {}).map(([name, property]) => {
    const limits = [];
    if (property.minLength != null) limits.push("at least " + property.minLength);
    if (property.maxLength != null) limits.push("at most " + property.maxLength + " characters");
    const optional = !(whole.required || []).includes(name);
    return make("tr", null,
      make("td", null, name),
      make("td", null,
        make("span", { class: "kind" }, kindOf(property) + (optional ? ", optional" : "") + (limits.length ? ", " + limits.join(", ") : "")),
        " ", ...prose(property.description)));
  });
  return rows.length ? make("table", null, ...rows) : null;
}

function example(spec, schema) {
  const whole = resolve(spec, schema);
  if (whole.example !== undefined) return whole.example;
  if (whole.properties) {
    return Object.fromEntries(Object.entries(whole.properties).map(([name, property]) => [name, example(spec, property)]));
  }
  if (whole.enum) return whole.enum[0];
  return [].concat(whole.type)[0] === "array" ? [] : "";
}

function remember(body) {
  if (!body || typeof body.access_token !== "string") return;
  tokenField.value = body.access_token;
  refreshToken = body.refresh_token;
  byId("who").textContent = "Signed in as " + body.user.email + ". Guarded requests below send this token.";
  for (const area of document.querySelectorAll("textarea[data-refresh]")) {
    area.value = JSON.stringify({ refresh_token: refreshToken }, null, 2);
  }
}

async function send(operation, form, output, button) {
  let url = operation.path;
  const query = new URLSearchParams();
  const options = { method: operation.method.toUpperCase(), headers: {}, cache: "no-store", credentials: "omit", redirect: "manual" };
  for (const field of form.querySelectorAll("[data-in]")) {
    if (field.dataset.in === "path") url = url.replace("{" + field.name + "}", encodeURIComponent(field.value));
    else if (field.value && field.dataset.in === "header") options.headers[field.name] = field.value;
    else if (field.value) query.set(field.name, field.value);
  }
  if (query.size) url += "?" + query;
  if (operation.guarded && tokenField.value) options.headers.Authorization = "Bearer " + tokenField.value.trim();
  const area = form.querySelector("textarea");
  button.disabled = true;
  const start = performance.now();
  try {
    if (area && area.dataset.type === FORM) options.body = new URLSearchParams(JSON.parse(area.value));
    else if (area) options.body = area.value;
    if (area) options.headers["Content-Type"] = area.dataset.type;
    const answer = await fetch(url, options);
    const text = await answer.text();
    const took = Math.round(performance.now() - start);
    let shown = text, body = null;
    try { body = JSON.parse(text); shown = JSON.stringify(body, null, 2); } catch { /* not JSON: shown as it is */ }
    if (answer.ok) remember(body);
    output.replaceChildren(make("div", null,
      make("div", { class: "row" },
        make("span", { class: "status " + (answer.ok ? "ok" : "bad") }, answer.status + " " + answer.statusText),
        make("span", { class: "took" }, took + " ms · " + (answer.headers.get("content-type") || "no body"))),
      shown ? make("pre", null, shown.length > 20000 ? shown.slice(0, 20000) + "\n…" : shown) : null));
  } catch (error) {
    output.replaceChildren(make("p", { class: "status bad" }, "No answer: " + error.message));
  }
  button.disabled = false;
}

function draw(spec, operation) {
  const [type, body] = Object.entries((operation.requestBody || {}).content || {})[0] || [];
  const output = make("div", { "aria-live": "polite" });
  const button = make("button", { class: "send", type: "submit" }, "Send");
  const fields = (operation.parameters || []).map((parameter) => {
    const schema = resolve(spec, parameter.schema);
    const attributes = { name: parameter.name, "data-in": parameter.in, required: parameter.in === "path", id: operation.operationId + "-" + parameter.name };
    const control = schema.enum
      ? make("select", attributes, make("option", { value: "" }, "(default)"), ...schema.enum.map((value) => make("option", { value }, value)))
      : make("input", { ...attributes, spellcheck: "false", autocomplete: "off" });
    return make("div", { class: "row" }, make("label", { for: attributes.id }, make("code", null, parameter.name)), control);
  });
  const area = body && make("textarea", {
    spellcheck: "false", "aria-label": "Request body", "data-type": type, "data-refresh": operation.operationId === "refresh",
  });
  if (area) area.value = JSON.stringify(example(spec, body.schema), null, 2);
  const form = make("form", { onsubmit: (event) => { event.preventDefault(); send(operation, form, output, button); } },
    ...fields, area, make("div", { class: "row" }, button));
  const answers = Object.entries(operation.responses).map(([status, answer]) => {
    const content = Object.values(answer.content || {})[0];
    return make("tr", null, make("td", null, status),
      make("td", null, ...prose(answer.description), " ", content && content.schema ? make("span", { class: "kind" }, kindOf(content.schema)) : null));
  });
  const success = Object.entries(operation.responses).find(([status]) => status.startsWith("2"));
  const successContent = success && Object.values(success[1].content || {})[0];
  const successTable = successContent && successContent.schema ? fieldTable(spec, successContent.schema) : null;
  return make("details", { id: operation.operationId },
    make("summary", null,
      make("span", { class: "method " + operation.method }, operation.method.toUpperCase()),
      make("span", { class: "path" }, operation.path),
      operation.guarded ? make("span", { class: "lock" }, "token") : null,
      make("span", { class: "what" }, operation.summary || "")),
    make("div", { class: "inside" },
      make("p", null, ...prose(operation.description)),
      ...(body ? [make("h3", null, "Request"), fieldTable(spec, body.schema)] : []),
      ...(successTable ? [make("h3", null, "Answer"), successTable] : []),
      make("h3", null, "Statuses"), make("table", null, ...answers),
      make("h3", null, "Try it"), form, output));
}

async function load() {
  const spec = await (await fetch("openapi.json", { cache: "no-store" })).json();
  byId("title").textContent = spec.info.title;
  byId("version").textContent = spec.info.version;
  byId("description").replaceChildren(...prose(spec.info.description));
  const operations = Object.entries(spec.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ ...operation, path, method, guarded: (operation.security || []).some((way) => "bearer" in way) })));
  const groups = (spec.tags || []).map((tag) => {
    const inside = operations.filter((operation) => (operation.tags || []).includes(tag.name));
    return make("section", null, make("h2", null, tag.name, make("small", null, tag.description || "")),
      ...inside.map((operation) => draw(spec, operation)));
  });
  byId("operations").replaceChildren(...groups);
  const wanted = location.hash && byId(location.hash.slice(1));
  if (wanted && wanted.tagName === "DETAILS") wanted.open = true;
}

// Enter in the token field is not a reason to load the page again.
byId("session").addEventListener("submit", (event) => event.preventDefault());
byId("show").addEventListener("click", () => {
  const hidden = tokenField.type === "password";
  tokenField.type = hidden ? "text" : "password";
  byId("show").textContent = hidden ? "Hide" : "Show";
  byId("show").setAttribute("aria-pressed", String(hidden));
});
byId("forget").addEventListener("click", () => {
  tokenField.value = "";
  refreshToken = null;
  byId("who").textContent = "";
});
load().catch((error) => byId("operations").replaceChildren(make("p", { class: "status bad" }, "openapi.json can't be read: " + error.message)));
