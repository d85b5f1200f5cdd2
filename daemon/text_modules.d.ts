declare module '*.py' {
  const text: string;
  export default text;
}
declare module '*.service' {
  const text: string;
  export default text;
}
