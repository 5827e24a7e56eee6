window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  // The default validator is a service of somebody else's.
  validatorUrl: null,
  // Tokens are not kept in the browser's storage.
  persistAuthorization: false,
});
