// Watches a real deployment in the web console with a real browser, as its user would. Prints one line "saw: ..." for each thing
// it saw; the first thing that does not come within its time ends it with exit code 1, a message and a screenshot.
//
//   node watch.mjs CONSOLE_URL EMAIL PASSWORD APP_NAME APP_ADDRESS ACCELERATOR SCREENSHOT
//
// ACCELERATOR: what the page of the hosts must show of one, as the database has it.
import { chromium } from "playwright-core";

const [consoleUrl, email, password, app, address, accelerator, screenshot] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
const context = await browser.newContext();
const page = await context.newPage();
page.setDefaultTimeout(60_000);
const complaints = [];
let signedIn = false;
page.on("console", (message) => {
  // Asking who is signed in, before anybody is, is answered with 401, which the browser writes down as an error; so are the
  // refusals below that the test itself gives.
  const refusedByUs = message.location().url.includes("/v4/logs/") && message.text().includes("503");
  if (message.type() === "error" && signedIn && !refusedByUs) complaints.push(message.text());
});
page.on("pageerror", (error) => complaints.push(String(error)));
const saw = (what) => console.log(`saw: ${what}`);
const text = (selector, wanted) => page.locator(selector).filter({ hasText: wanted }).first().waitFor();

/** The next `calls` calls to an address like `pattern` find the API away; the result is awaited until they did. */
const away = async (pattern, calls) => {
  let left = calls;
  let refusedAll;
  const refused = new Promise((resolve) => (refusedAll = resolve));
  await page.route(
    pattern,
    async (route) => {
      await route.fulfill({ status: 503, body: "away" });
      if (--left === 0) refusedAll();
    },
    { times: calls },
  );
  return { refused };
};

try {
  const opening = await away("**/{v2/self,console/settings}", 2);
  const response = await page.goto(consoleUrl);
  const policy = response.headers()["content-security-policy"] ?? "";
  if (!/default-src '(none|self)'/.test(policy) || policy.includes("unsafe-inline")) throw new Error(`the policy is weak: "${policy}"`);
  saw("a strict content security policy");

  await opening.refused;
  await page.locator("input[name=email]").waitFor();
  saw("the console open by itself once the API is back");

  await page.fill("input[name=email]", email);
  await page.fill("input[name=password]", "not the password");
  await page.click("button[type=submit]");
  await text("[role=alert]", /./);
  saw("a wrong password refused");

  await page.fill("input[name=password]", password);
  await page.click("button[type=submit]");
  await text("h1", "Applications");
  signedIn = true;
  saw("the list of applications");
  const cookie = (await context.cookies()).find((c) => c.name === "karreg_session");
  if (!cookie?.httpOnly || cookie.sameSite !== "Strict") throw new Error(`the session cookie is ${JSON.stringify(cookie)}`);
  saw("a session cookie that no script can read");
  await text("tr", app);
  const row = await page.locator("tr", { hasText: app }).innerText();
  if (!row.includes("new") || !row.includes(address)) throw new Error(`the row of the app says: ${row}`);
  saw("the new app with its state and address");

  await page.click('a:text-is("Hosts")');
  await text("tr", accelerator);
  saw("the accelerator of a host with its measured figures");

  const request = `watch-${crypto.randomUUID()}`;
  await page.goto(new URL(`/cli-oauth?cli_version=watch&cli_token=${request}`, consoleUrl).href);
  await text("main", email);
  await page.getByRole("button", { name: "Accept" }).click();
  await text("[role=status]", "Accepted");
  const fetched = await fetch(new URL(`/v2/self/cli_tokens?cli_token=${request}`, consoleUrl));
  if (fetched.status !== 200 || !(await fetched.json()).secret) throw new Error(`the accepted login is answered with ${fetched.status}`);
  saw("the login of a command line, and its token after accepting it");
  await page.click('a:text-is("Applications")');

  const log = await away("**/v4/logs/**", 1);
  await page.click(`a:text-is("${app}")`);
  await text("h1", app);
  await log.refused;
  await text("[role=status]", "live");
  saw("the live log come back after a refusal");
  saw("the page of the app"); // the push begins here
  await text("td", "WIP");
  saw("the deployment in progress");
  await text("main", "Detected Node.js");
  saw("the live log of the build");
  await text("td", "OK");
  saw("the deployment end in OK");
  await text("main", "listening in the console test");
  saw("a line that the app printed");
  await text("h1", "running");
  saw("the app running");

  const visitor = await context.newPage();
  await visitor.goto(address);
  await visitor.getByText("seen in the console").waitFor();
  await visitor.close();
  saw("the app answer at the address shown");

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.locator("input[name=password]").waitFor();
  saw("the sign-in page after signing out");
  if (complaints.length > 0) throw new Error(`the browser complained: ${complaints.join("; ")}`);
  saw("no complaint of the browser");
} catch (error) {
  await page.screenshot({ path: screenshot }).catch(() => {});
  console.log(`${error}\nthe page is in ${screenshot}; it complained: ${complaints.join("; ") || "of nothing"}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
