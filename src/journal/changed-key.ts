/** `<kind of object>/<name>`, for example `service/orders`, `grant/orders/web`, `policy/quickstart`, `settings` */
export type ChangedKey = string;
