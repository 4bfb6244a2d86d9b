// Serves commercetools-mock on a free loopback port and prints the port; its own runServer binds every interface.
const { CommercetoolsMock } = await import(process.argv[2]);
const mock = new CommercetoolsMock({
  apiHost: "http://127.0.0.1",
  authHost: "http://127.0.0.1",
  enableAuthentication: false,
  validateCredentials: false,
  defaultProjectKey: "shop",
  silent: true,
});
const address = await mock.app.listen({ port: 0, host: "127.0.0.1" });
console.log(`listening ${new URL(address).port}`);
